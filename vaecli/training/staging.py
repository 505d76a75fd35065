"""Training images that stay in the machine's memory, or in a file, and are copied to the model's device in parts."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from vaecli.data.images import Images

PART = 1 << 28
"""Bytes of images on the device at a time, or one batch."""

SHARE = 0.5
"""The most of a GPU's free memory that training images may take; the model, its gradients and a step need some too."""


def fits(images: Images, device: torch.device) -> bool:
    """Whether all images may be kept on a device."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return images.pixels.nbytes <= SHARE * free


class Staging:
    """Gives the batches of an epoch as numbers of images on a device.

    Images that are there already are numbered as they are. Of others, those of the next batches are gathered in pinned memory and
    copied, while the device still computes with the ones before; they always lie in the same memory of the device, as a recorded
    step needs them to (`vaecli.training.cuda_graph`).

    Args:
        images: to train on.
        device: of the model.
        batch_size: images of a batch.

    Attributes:
        images: on the device, which the batches number.
    """

    def __init__(self, images: Images, device: torch.device, batch_size: int) -> None:
        self._source, self._batch_size = images, batch_size
        self._whole = images.pixels.device == device
        self.images = images
        if not self._whole:
            batches = max(1, PART // images.shape.size // batch_size)
            self.images = replace(images[: batches * batch_size], names=()).to(device)

    def batches(self, order: Tensor) -> Iterator[Tensor]:
        """The batches of an order, the last maybe smaller: numbers of `images` that hold until the next is asked for."""
        if not len(order):  # of which split would make an empty batch
            return
        if self._whole:
            yield from order.split(self._batch_size)
            return
        pinned = self.images.pixels.device.type == "cuda"
        for part in order.to(self._source.pixels.device).split(len(self.images)):
            for kept, all_of_them in (
                (self.images.pixels, self._source.pixels),
                (self.images.labels, self._source.labels),
            ):
                rows = all_of_them.index_select(0, part)
                kept[: len(part)].copy_(rows.pin_memory() if pinned else rows, non_blocking=pinned)
            yield from torch.arange(len(part), device=self.images.pixels.device).split(self._batch_size)
