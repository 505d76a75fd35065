"""What a model is worth: bounds on log p(x), the same for every checkpoint, whatever it was trained with."""

from dataclasses import dataclass

import torch

from vaecli.data.images import Images
from vaecli.model import VAE
from vaecli.objectives.elbo import ELBO
from vaecli.seeding import generator

BATCH = 500


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
