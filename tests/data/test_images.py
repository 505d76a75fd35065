import pytest
import torch

from vaecli.data.images import UNKNOWN, Images
from vaecli.image_shape import GREY_28, ImageShape


def images(shape, count=3):
    pixels = torch.arange(1, count * shape.size + 1).remainder(250).to(torch.uint8).view(count, shape.size)
    return Images(pixels, torch.arange(count), ("a", "b", "c"), shape, ("x", "y", "z"))


@pytest.mark.parametrize("channels", [1, 3])
def test_larger_images_have_the_smaller_ones_in_their_middle(channels):
    small = images(ImageShape(channels, 4, 5))
    large = small.padded(ImageShape(channels, 7, 9)).pixels.view(3, channels, 7, 9)
    assert torch.equal(large[:, :, 1:5, 2:7], small.pixels.view(3, channels, 4, 5))
    assert int((large > 0).sum()) == int((small.pixels > 0).sum())


def test_the_digest_depends_on_the_shape_and_is_as_before_for_28_by_28():
    wide, tall = ImageShape(1, 14, 56), ImageShape(1, 56, 14)
    pixels = torch.zeros(2, 784, dtype=torch.uint8)
    digests = {Images(pixels, torch.tensor([UNKNOWN, UNKNOWN]), (), shape).digest for shape in (GREY_28, wide, tall)}
    assert len(digests) == 3


def test_some_images_keep_their_names():
    few = images(GREY_28)
    assert few[1:].names == ("y", "z")
    assert few[torch.tensor([2, 0])].names == ("z", "x")
    assert few[few.labels != 1].names == ("x", "z")


@pytest.mark.parametrize(("shape", "count"), [(GREY_28, 1000), (ImageShape(1, 56, 56), 250), (ImageShape(3, 256, 256), 3)])
def test_larger_images_take_as_much_memory_in_smaller_numbers(shape, count):
    assert shape.scaled_batch(1000) == count
    assert shape.scaled_batch(1) == shape.measured_batch(1) == 1
    assert shape.measured_batch(1000) == max(16, count)
    assert shape.measured_batch(10) == 10
