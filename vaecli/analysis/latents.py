"""Where images lie in the latent space."""

import torch
from torch import Tensor

from vaecli.data.images import Images
from vaecli.distributions.normal import DiagonalNormal
from vaecli.model import VAE
from vaecli.seeding import generator

BATCH = 1000


@torch.inference_mode()
def encode(model: VAE, images: Images, seed: int = 0) -> DiagonalNormal:
    """The posteriors q(z | x, y) of N images, on the CPU: mu and log sigma of shape (N, latent_dim).

    Pixels that are binarised at random are drawn by `seed`, in the same way each time.
    """
    model.eval()
    noise = generator(images.pixels.device, "encode", seed)
    parts = []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        q = model.posterior(model.observe(batch.pixels, noise), model.condition(batch.labels))
        parts.append(torch.stack((q.mu, q.log_sigma)).cpu())
    return DiagonalNormal(*torch.cat(parts, 1))


def principal_components(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Points along their directions of greatest variance.

    Args:
        points: shape (N, D).
        count: how many directions, at most D.

    Returns:
        The coordinates, shape (N, count), and each direction's share of the total variance, shape (count,). Directions are
        signed so that their largest component is positive.
    """
    centred = (points - points.mean(0)).double()
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(points))
    directions = directions.flip(1)[:, :count]
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    shares = variances.flip(0)[:count] / variances.sum()
    return (centred @ (directions * largest.sign())).float(), shares.float()


def prior_quantiles(side: int) -> Tensor:
    """A grid over a 2-D latent space with equal prior probability in each cell: shape (side * side, 2), the top row first."""
    quantiles = torch.special.ndtri((torch.arange(side, dtype=torch.float64) + 0.5) / side).float()
    return torch.cartesian_prod(quantiles.flip(0), quantiles).flip(1)
