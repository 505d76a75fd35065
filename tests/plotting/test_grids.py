import pytest
import torch
from torchvision.utils import make_grid

from tests.helpers import opened
from vaecli.image_shape import GREY_28, ImageShape
from vaecli.plotting.grids import Panel, grid, save_panels, scale_of, side_by_side

SCALE = scale_of(GREY_28)


def test_panels_keep_captions_and_images_apart(tmp_path):
    images = torch.zeros(3, 784)
    images[1] = 1
    save_panels(tmp_path / "one.png", [[Panel("a", images, 3, GREY_28)]])
    save_panels(tmp_path / "long.png", [[Panel("a caption much wider than its single image", images[:1], 1, GREY_28)]])
    one, long = opened(tmp_path / "one.png"), opened(tmp_path / "long.png")
    assert one.width >= 3 * 29 * SCALE
    assert long.width > 29 * SCALE * 2
    # the second of three images is the white one: dark, white, dark along the middle row of the grid
    row = one.height - 15 - 14 * SCALE
    third = one.width // 3
    assert [one.convert("L").getpixel((third * i + third // 2, row)) for i in range(3)] == [0, 255, 0]


def test_long_columns_go_on_to_the_right_then_below():
    layout = side_by_side([("x", torch.zeros(25, 784)), ("y", torch.zeros(25, 784))], GREY_28, tall=10)
    assert [len(row) for row in layout] == [6]
    assert [len(panel.images) for panel in layout[0]] == [10, 10, 10, 10, 5, 5]
    assert [len(row) for row in side_by_side([(c, torch.zeros(70, 784)) for c in "abc"], GREY_28, tall=10)] == [12, 9]


@pytest.mark.parametrize("shape", [GREY_28, ImageShape(3, 64, 64), ImageShape(1, 5, 9)], ids=str)
@pytest.mark.parametrize(("count", "columns"), [(2, 1), (7, 3), (9, 3), (3, 10)])
def test_the_grid_is_that_of_torchvision(count, columns, shape):
    images = torch.rand(count, shape.size, generator=torch.Generator().manual_seed(0))
    pictures = images.view(-1, shape.channels, shape.height, shape.width)
    expected = make_grid(pictures, nrow=columns, padding=1, pad_value=0.35)
    assert torch.equal(grid(images, columns, shape).expand(3, -1, -1), expected)


def test_a_single_image_is_framed():
    assert grid(torch.zeros(1, 784), 5, GREY_28).shape == (1, 30, 30)


@pytest.mark.parametrize(("side", "scale"), [(28, 3), (32, 3), (64, 2), (84, 1), (128, 1), (256, 1), (4, 21)])
def test_every_image_is_at_least_84_pixels_high_on_the_screen(side, scale, tmp_path):
    shape = ImageShape(3, side, side)
    colours = torch.tensor([1.0, 0.5, 0.0]).repeat_interleave(side * side).expand(2, -1)
    save_panels(tmp_path / "two.png", [[Panel("", colours, 2, shape)]])
    page = opened(tmp_path / "two.png")
    assert page.width >= 2 * (side + 1) * scale
    assert (255, 128, 0) in {colour for _, colour in page.getcolors()}
