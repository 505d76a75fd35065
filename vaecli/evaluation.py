"""What a model is worth: bounds on log p(x), the same for every checkpoint, whatever it was trained with."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import kl_divergence

from vaecli.data.images import Images
from vaecli.device import accumulator
from vaecli.gaussian import DiagonalNormal
from vaecli.model import VAE
from vaecli.seeding import generator
from vaecli.tabulated import BLOCK, Table, worthwhile

PROPOSALS = ("posterior", "mixture")

BATCH = 500

ROWS = 4000
"""Image-particles decoded at once, which bounds the memory that L_k takes whatever k is."""

ACTIVE = 0.01
"""A latent dimension is active where the variance of its posterior means over images is above this (Burda et al. 2015)."""


@dataclass(frozen=True)
class Evaluation:
    """The ELBO of N images and its parts, in nats, float64 on the CPU, each of shape (N,).

    Attributes:
        reconstruction: E_q[log p(x|z)], one particle an image.
        kl: KL(q(z|x) || p(z)), exact.
        active_units: how many latent dimensions have a variance of posterior means over images above ACTIVE.
    """

    reconstruction: Tensor
    kl: Tensor
    active_units: int

    @property
    def elbo(self) -> Tensor:
        """A lower bound on log p(x): reconstruction - kl."""
        return self.reconstruction - self.kl


@torch.inference_mode()
def evaluate(model: VAE, images: Images) -> Evaluation:
    """The ELBO of all images, with the same noise and binarisation each time."""
    model.eval()
    noise = generator(images.pixels.device, "evaluation")
    parts, means = [], []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        x, y = model.observe(batch.pixels, noise), model.condition(batch.labels)
        q = model.posterior(x, y)
        z = q.rsample((1,), noise)
        parts.append(torch.stack((model.likelihood(z, y).log_prob(x)[0], kl_divergence(q, model.prior))).cpu().double())
        means.append(q.mu.cpu())
    reconstruction, kl = torch.cat(parts, 1)
    return Evaluation(reconstruction, kl, int((torch.cat(means).var(0, correction=0) > ACTIVE).sum()))


@dataclass(frozen=True)
class ImportanceBound:
    """L_k of N images, float64 on the CPU.

    Attributes:
        value: nats, shape (N,).
        variance: of each value over repeats, shape (N,), estimated from its own weights (the delta method); blind to modes of the
            true posterior that no particle fell into.
    """

    value: Tensor
    variance: Tensor


@torch.inference_mode()
def importance_bound(
    model: VAE, images: Images, k: int, proposal: str = "posterior", repeat: int = 0, on_images: Callable[[int], None] | None = None
) -> ImportanceBound:
    """L_k = E[logsumexp_i log_w_i - log k] (Burda et al. 2015, eq. 8), a lower bound on log p(x) whatever the proposal.

    With one or two latents and many particles log p(x|z) is read off a `Table`, to within a hundredth of a nat.

    Args:
        model: on the same device as `images`.
        images: with labels where the model is conditional.
        k: particles, taken in chunks, so that memory does not grow with them.
        proposal: ``posterior`` draws them from q(z|x), which the literature calls NLL; ``mixture`` from 1/2 q(z|x) + 1/2 p(z)
            (a defensive mixture, Owen & Zhou 2000), which still finds the modes that q misses.
        repeat: another number gives other particles; pixels that are binarised at random stay the same.
        on_images: told how many images are done, now and then.
    """
    model.eval()
    pixel_noise = generator(images.pixels.device, "evaluation pixels")
    noise = generator(images.pixels.device, "importance", k, repeat)
    particles, wide = min(k, ROWS // 10), accumulator(images.pixels.device)
    values, variances = [], []
    for start in range(0, len(images), BLOCK):
        block = images[start : start + BLOCK]
        x, y = model.observe(block.pixels, pixel_noise), model.condition(block.labels)
        q, p = model.posterior(x, y), model.prior
        table = Table(model, x, block, q) if worthwhile(model, len(images), k) else None
        for rows in torch.arange(len(block), device=x.device).split(max(1, ROWS // particles)):
            log_sum, log_squares = torch.full((2, len(rows)), -math.inf, dtype=wide, device=x.device)
            q_rows, y_rows = DiagonalNormal(q.mu[rows], q.log_sigma[rows]), None if y is None else y[rows]
            for done in range(0, k, particles):
                size = (min(particles, k - done),)
                z = q_rows.rsample(size, noise)
                if proposal == "mixture":
                    from_prior = torch.rand(*z.shape[:-1], 1, generator=noise, device=x.device) < 0.5
                    z = torch.where(from_prior, p.rsample(z.shape[:-1], noise), z)
                    log_r = torch.logaddexp(q_rows.log_prob(z), p.log_prob(z)) - math.log(2)
                else:
                    log_r = q_rows.log_prob(z)
                log_likelihood = table.log_prob(z, rows) if table else model.likelihood(z, y_rows).log_prob(x[rows])
                log_w = (log_likelihood + p.log_prob(z) - log_r).to(wide)
                log_sum = torch.logaddexp(log_sum, log_w.logsumexp(0))
                log_squares = torch.logaddexp(log_squares, (2 * log_w).logsumexp(0))
            values.append((log_sum - math.log(k)).cpu().double())
            variances.append(((log_squares - 2 * log_sum).exp() - 1 / k).clamp(min=0).cpu().double())
            if on_images:
                on_images(start + int(rows[-1]) + 1)
    return ImportanceBound(torch.cat(values), torch.cat(variances))
