"""Pictures at their places."""

from pathlib import Path

import pytest
import torch

from vaecli.analysis.latents import Cloud
from vaecli.data.images import UNKNOWN, Images
from vaecli.image_shape import GREY_28, ImageShape
from vaecli.plotting import thumbnails
from vaecli.plotting.palette import TEN, UNKNOWN_COLOUR


@pytest.fixture
def drawn(monkeypatch):
    """The axes of a cloud of images, and the pixels in them."""

    def draw(points, images):
        figures = []
        monkeypatch.setattr(thumbnails, "save_figure", lambda path, figure, dpi: figures.append(figure))
        cloud = Cloud(torch.tensor(points), images.labels, images.class_names, ("z1", "z2"))
        thumbnails.save_thumbnails(Path("x.png"), [("run", cloud, images)])
        (axes,) = figures[0].axes
        (page,) = axes.images
        return axes, torch.tensor(page.get_array().copy())

    return draw


def images_of(shape, labels, class_names):
    pixels = torch.randint(256, (len(labels), shape.size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Images(pixels, torch.tensor(labels), class_names, shape)


def test_boxes_do_not_overlap_and_none_that_fits_is_left_out():
    places = torch.randint(300, (400, 2), generator=torch.Generator().manual_seed(0))
    chosen = thumbnails.spread_out(places, 20, 30)
    apart = [bool(((places[a] - places[b]).abs() >= torch.tensor([20, 30])).any()) for a in chosen for b in chosen if a < b]
    assert all(apart) and 50 < len(chosen) < 400
    for index in set(range(400)) - set(chosen):
        assert any(((places[index] - places[other]).abs() < torch.tensor([20, 30])).all() for other in chosen if other < index)


@pytest.mark.parametrize(
    ("side", "shown"), [(4, 28), (8, 32), (27, 54), (28, 28), (32, 32), (64, 64), (65, 64), (256, 64)], ids=str
)
def test_small_pictures_are_enlarged_and_large_ones_shrunk(side, shown):
    assert thumbnails.shown_size(ImageShape(3, side, side)) == (shown, shown)


@pytest.mark.parametrize("shape", [GREY_28, ImageShape(3, 64, 64)], ids=str)
def test_each_picture_is_in_the_middle_of_its_latent_unchanged_in_a_frame_of_its_label(drawn, shape):
    points = [[-1.0, 0.0], [3.0, 0.5], [0.0, 2.0]]
    images = images_of(shape, [0, 1, UNKNOWN], ("a", "b"))
    axes, page = drawn(points, images)
    low, high = torch.tensor([axes.get_xlim(), axes.get_ylim()]).T
    for point, pixels, colour in zip(points, images.pixels, (TEN[0], TEN[1], UNKNOWN_COLOUR), strict=True):
        x, y = ((torch.tensor(point) - low) / (high - low) * thumbnails.SIDE).tolist()
        left, top = round(x - shape.width / 2), round(thumbnails.SIDE - y - shape.height / 2)
        expected = pixels.view(-1, shape.height, shape.width).expand(3, -1, -1).permute(1, 2, 0)
        near = [
            page[t : t + shape.height, left_ : left_ + shape.width]
            for t in (top - 1, top, top + 1)
            for left_ in (left - 1, left, left + 1)
        ]
        assert any(torch.equal(expected, found) for found in near)
        assert page[top - 2, left + 9].tolist() == [round(255 * part) for part in colour[:3]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["unknown", "a", "b"]


def test_images_without_labels_and_at_one_place(drawn):
    axes, page = drawn([[1.0, 1.0]] * 5, images_of(GREY_28, [UNKNOWN] * 5, ()))
    assert axes.get_legend() is None
    assert sum(axes.get_xlim()) == sum(axes.get_ylim()) == 2
    assert "1 of 5 test images" in axes.get_title()
    assert int((page != 255).any(-1).sum()) <= 30 * 30
