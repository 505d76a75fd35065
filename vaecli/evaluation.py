"""What a model is worth: bounds on log p(x), the same for every checkpoint, whatever it was trained with."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vaecli.data.images import Images
from vaecli.model import VAE
from vaecli.objectives.elbo import ELBO
from vaecli.seeding import generator

BATCH = 500

ROWS = 4000
"""Image-particles decoded at once, which bounds the memory that L_k takes whatever k is."""


@dataclass(frozen=True)
class Evaluation:
    """Means over images, in nats.

    Attributes:
        elbo: reconstruction - kl, a lower bound on log p(x).
        reconstruction: E_q[log p(x|z)], one particle an image.
        kl: KL(q(z|x) || p(z)), exact.
    """

    elbo: float
    reconstruction: float
    kl: float


@torch.inference_mode()
def evaluate(model: VAE, images: Images) -> Evaluation:
    """The ELBO of all images, with the same noise and binarisation each time."""
    model.eval()
    noise = generator(images.pixels.device, "evaluation")
    sums = torch.zeros(2, dtype=torch.float64)
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        bound = ELBO()(model, model.observe(batch.pixels, noise), model.condition(batch.labels), noise)
        sums += torch.stack((bound.reconstruction, bound.kl)).double().sum(1).cpu()
    reconstruction, kl = (sums / len(images)).tolist()
    return Evaluation(reconstruction - kl, reconstruction, kl)


@torch.inference_mode()
def importance_bound(model: VAE, images: Images, k: int, on_images: Callable[[int], None] | None = None) -> Tensor:
    """L_k of each image with the posterior as proposal (Burda et al. 2015, eq. 8): nats, float64 on the CPU, shape (N,).

    Args:
        model: on the same device as `images`.
        images: with labels where the model is conditional.
        k: particles, taken in chunks, so that memory does not grow with them.
        on_images: told how many images are done, now and then.
    """
    model.eval()
    noise = generator(images.pixels.device, "importance", k)
    particles = min(k, ROWS // 10)
    bounds = []
    for batch in torch.arange(len(images)).split(max(1, ROWS // particles)):
        some = images[batch]
        x, y = model.observe(some.pixels, noise), model.condition(some.labels)
        q = model.posterior(x, y)
        total = torch.full((len(some),), -math.inf, dtype=torch.float64, device=x.device)
        for start in range(0, k, particles):
            z = q.rsample((min(particles, k - start),), noise)
            log_w = model.likelihood(z, y).log_prob(x) + model.prior.log_prob(z) - q.log_prob(z)
            total = torch.logaddexp(total, log_w.double().logsumexp(0))
        bounds.append((total - math.log(k)).cpu())
        if on_images:
            on_images(int(batch[-1]) + 1)
    return torch.cat(bounds)
