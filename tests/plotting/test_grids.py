import pytest
import torch
import torch.nn.functional as F
from torchvision.utils import make_grid

from tests.helpers import opened
from vaecli.display import grid, scale_of
from vaecli.image_shape import GREY_28, ImageShape
from vaecli.plotting.grids import Panel, save_panels, side_by_side

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
    found = grid(in_bytes(pictures), columns, gap=1)
    assert torch.equal(found.expand(3, -1, -1), in_bytes(expected))


def test_pixels_are_enlarged_and_the_lines_are_not():
    pictures = in_bytes(torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0)))
    enlarged = pictures.repeat_interleave(2, 2).repeat_interleave(2, 3)
    found = grid(pictures, 2, scale=2, height=12)
    assert torch.equal(grid(F.pad(enlarged, (0, 0, 2, 2), value=89), 2), found)
    assert found.shape == (3, 3 * (12 + 3) + 3, 2 * (12 + 3) + 3)


def in_bytes(values):
    return (values * 255).round().to(torch.uint8)


def test_a_single_image_is_framed():
    assert grid(torch.zeros(1, 1, 28, 28, dtype=torch.uint8), 5, gap=1).shape == (1, 30, 30)


def test_rows_of_images_of_any_size_stand_beside_each_other(tmp_path):
    """Each row of the picture has the same image of every panel: white in the first row, black in the second."""
    shapes = [GREY_28, ImageShape(3, 64, 64), ImageShape(1, 5, 9)]
    panels = [Panel("", torch.stack((torch.ones(shape.size), torch.zeros(shape.size))), 1, shape) for shape in shapes]
    save_panels(tmp_path / "x.png", [panels])
    page = opened(tmp_path / "x.png").convert("L")
    first, second = page.height - 15 - 3 - 128 - 3 - 64, page.height - 15 - 3 - 64
    across, left = [], 15
    for shape in shapes:
        width = shape.width * (128 // shape.height)
        across.append((left + 3 + width // 2, first))
        left += width + 6 + 15
    assert [page.getpixel(place) for place in across] == [255] * 3
    assert [page.getpixel((x, second)) for x, _ in across] == [0] * 3


@pytest.mark.parametrize(("side", "scale"), [(28, 3), (32, 3), (64, 2), (84, 1), (128, 1), (256, 1), (4, 21)])
def test_every_image_is_at_least_84_pixels_high_on_the_screen(side, scale, tmp_path):
    shape = ImageShape(3, side, side)
    colours = torch.tensor([1.0, 0.5, 0.0]).repeat_interleave(side * side).expand(2, -1)
    save_panels(tmp_path / "two.png", [[Panel("", colours, 2, shape)]])
    page = opened(tmp_path / "two.png")
    assert page.width == 2 * side * scale + 3 * 3 + 2 * 15
    assert (255, 128, 0) in {colour for _, colour in page.getcolors()}
