"""Labels as the networks see them."""

from dataclasses import replace

import torch
from torch import Tensor

from vaecli.data.images import UNKNOWN, Images
from vaecli.seeding import generator


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """One-hot vectors, float32, shape (B, classes), of labels of shape (B,); all zeros where the label is unknown."""
    return (labels.unsqueeze(-1) == torch.arange(classes, device=labels.device)).float()


def hide_labels(images: Images, fraction: float, seed: int) -> Images:
    """The same images; exactly ``round(fraction * N)`` of them keep their label.

    They are drawn without replacement, from the seed alone.
    """
    order = torch.randperm(len(images), generator=generator("cpu", "labels", seed))
    hidden = order[round(fraction * len(images)) :].to(images.labels.device)
    return replace(images, labels=images.labels.index_fill(0, hidden, UNKNOWN))
