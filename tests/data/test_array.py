"""Arrays: their layouts, values, splits and labels."""

import numpy as np
import pytest
import torch
from PIL import Image

import vaecli
from vaecli.config import Config
from vaecli.data import Source, read_once
from vaecli.data.array import LAYOUTS
from vaecli.data.array_items import given_arrays
from vaecli.data.summary import summarise

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 8, 8), np.uint8)
COLOUR = RNG.integers(0, 256, (40, 8, 8, 3), np.uint8)


def source_of(images, numbers=None, test_images=None, test_labels=None, **settings):
    arrays = given_arrays(images, numbers, test_images, test_labels)
    return Source(Config(dataset="array", **settings), read=read_once(arrays=arrays))


def both(source):
    """The images of both splits by their names, which are indices: shape (N, C, H, W)."""
    splits = [source.images(split) for split in ("train", "test")]
    shape = splits[0].shape
    pixels = torch.cat([images.pixels for images in splits]).view(-1, shape.channels, shape.height, shape.width)
    order = np.argsort([int(name) for images in splits for name in images.names])
    return pixels.numpy()[order]


def lines_of(source):
    config = source.settled()
    found = summarise(source.images("train"), source.images("test"), config)
    return [line.removeprefix("images: ") for line in found.lines()]


@pytest.mark.parametrize(
    "images", [GREY, GREY.reshape(40, 64), GREY[:, None], GREY[..., None], torch.tensor(GREY), np.asfortranarray(GREY), list(GREY)]
)
def test_grey_images_of_any_layout_are_the_same(images):
    source = source_of(images)
    assert (both(source)[:, 0] == GREY).all()
    settled = source.settled()
    assert (settled.image_size, settled.colour, settled.pixel_range) == (8, "grey", (0, 255))


@pytest.mark.parametrize("images", [COLOUR, COLOUR.transpose(0, 3, 1, 2), [Image.fromarray(one) for one in COLOUR]])
def test_colours_first_or_last_are_the_same(images):
    source = source_of(images)
    assert (both(source).transpose(0, 2, 3, 1) == COLOUR).all()
    assert (source.settled().image_size, source.settled().colour) == (8, "rgb")


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((5,), ""), ((10, 20), ""), ((28, 28, 3), "images[None]"), ((3, 28, 28), "images[None]"), ((2, 8, 8, 4), "images[..., :3]"),
        ((2, 3, 8, 3), ""), ((2, 2, 8, 8), ""), ((2, 192), "(N, 3, 8, 8)"), ((2, 0, 8), ""), ((2, 1, 8, 8, 8), ""),
    ],
)  # fmt: skip
def test_a_shape_that_may_be_several_things_is_refused(shape, hint):
    with pytest.raises(vaecli.VaecliError) as caught:
        source_of(np.zeros(shape, np.uint8)).images("train")
    message = str(caught.value)
    assert LAYOUTS in message
    assert str(shape) in message
    assert hint in message


def test_other_sizes_get_a_border_or_are_refused():
    source = source_of(GREY[:, :, :5], image_size=12)
    images = both(source)[:, 0]
    assert images.shape == (40, 12, 12)
    assert (images[:, 2:10, 3:8] == GREY[:, :, :5]).all()
    assert images.astype(int).sum() == GREY[:, :, :5].astype(int).sum()
    assert "8 x 5 pixels, with a black border to 12 x 12" in lines_of(source)
    assert source_of(GREY[:, :, :5]).settled().image_size == 8
    with pytest.raises(vaecli.VaecliError, match="images of 8 x 8, expected image_size=6 to be 8 or more"):
        source_of(GREY, image_size=6).images("train")
    with pytest.raises(vaecli.VaecliError, match="expected at most 256 x 256"):
        source_of(np.zeros((5, 300, 8))).images("train")


def test_a_colour_that_is_stated():
    assert both(source_of(GREY, colour="rgb")).shape == (40, 3, 8, 8)
    grey = np.array([np.asarray(Image.fromarray(one).convert("L")) for one in COLOUR])
    assert (both(source_of(COLOUR, colour="grey"))[:, 0] == grey).all()


@pytest.mark.parametrize(
    ("values", "pixel_range"),
    [
        (GREY / 255, (0, 1)), (GREY.astype(float) / 255 * 2 - 1, (-1, 1)), (GREY.astype(np.int64), (0, 255)),
        (GREY.astype(np.float32), (0, 255)), (GREY.astype(np.uint16) * 257, (0, 65535)),
        (torch.tensor(GREY / 255.0).half(), (0, 1)),
        (torch.tensor(GREY).to(torch.bfloat16), (0, 255)),
    ],
)  # fmt: skip
def test_the_range_of_values_is_settled_as_in_a_folder(values, pixel_range):
    source = source_of(values)
    assert source.settled().pixel_range == pixel_range
    assert np.abs(both(source)[:, 0].astype(int) - GREY).max() <= 1  # half precision rounds


@pytest.mark.parametrize("values", [GREY > 127, (GREY > 127).astype(np.uint8), (GREY > 127).astype(float)])
def test_values_of_0_and_1_are_black_and_white(values):
    source = source_of(values)
    assert (both(source)[:, 0] == (GREY > 127) * 255).all()
    said = "values from 0 to 1 are black to white, and there are no others: likelihood=bernoulli suits them; pixel_range=LOW,HIGH"
    assert any(line.startswith(said) for line in lines_of(source))
    assert not any("bernoulli" in line for line in lines_of(source_of(values, likelihood="bernoulli")))


@pytest.mark.parametrize("values", [GREY / 255 - 0.5, GREY / 2000, RNG.normal(size=(40, 8, 8)), GREY / 77.3])
def test_floats_of_a_range_that_is_a_guess_are_refused_with_the_line_that_states_it(values):
    with pytest.raises(vaecli.VaecliError, match=r"found floats from .* such as pixel_range=") as caught:
        source_of(values).images("train")
    low, high = map(float, str(caught.value).rpartition("=")[2].split(","))
    assert both(source_of(values, pixel_range=(low, high))).max() == 255


def test_a_range_that_is_stated_holds_and_what_is_outside_is_counted():
    source = source_of(GREY, pixel_range=(0, 100))
    expected = np.rint(np.minimum(GREY, 100).astype(np.float32) * np.float32(2.55)).astype(int)
    assert np.abs(both(source)[:, 0] - expected).max() <= 1
    count = int((GREY.reshape(40, -1) > 100).any(1).sum())
    assert any(f"cut to the ends, in {count} images" in line for line in lines_of(source))
    with pytest.raises(vaecli.VaecliError, match="values of 8 bits only, expected values from 0 to 255"):
        source_of(GREY, pixel_range=(0, 4095)).settled()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_no_numbers_are_refused(odd):
    values = GREY / 255
    values[17, 3, 3] = odd
    for settings in ({}, {"pixel_range": (0, 1)}):
        with pytest.raises(vaecli.VaecliError, match="the first in image 17"):
            source_of(values, **settings).images("train")


@pytest.mark.parametrize("values", [GREY.astype(complex), GREY.astype(str), GREY.astype(object)])
def test_what_is_no_number_is_refused(values):
    with pytest.raises(vaecli.VaecliError, match="found values of type"):
        source_of(values).images("train")


def test_equal_images_are_in_one_split_and_their_order_does_not_matter():
    twice = np.concatenate((GREY, GREY))
    train, test = (source_of(twice).images(split) for split in ("train", "test"))
    assert {row.tobytes() for row in train.pixels.numpy()}.isdisjoint(row.tobytes() for row in test.pixels.numpy())
    assert (len(train), len(test)) == (64, 16)  # of few images a fifth of the distinct ones
    shuffled = GREY[RNG.permutation(40)]
    for split in ("train", "test"):
        assert source_of(shuffled).images(split).digest == source_of(GREY).images(split).digest
    assert lines_of(source_of(GREY))[0] == "32 images to train on, 8 to test on, chosen by a hash of their pixels"


def test_another_image_moves_no_other():
    many = RNG.integers(0, 256, (2000, 4, 4), np.uint8)
    before, after = ({*source_of(images).images("test").names} for images in (many[:-1], many))
    assert after - {"1999"} == before
    assert 150 < len(after) < 260  # 200 of 2,000 are expected, of standard deviation 13


def test_one_image_is_in_both_splits():
    assert lines_of(source_of(GREY[:1])) == ["there is one image: it is the training set and the test set"]


def test_sorted_labels_are_mixed_in_what_is_held_out():
    labels = np.repeat([0, 1], 500)
    images = RNG.integers(0, 256, (1000, 4, 4), np.uint8)
    held_out = source_of(images, labels).images("train").labels[-100:]
    assert 25 < int(held_out.sum()) < 75


def test_a_test_set_of_ones_own():
    source = source_of(GREY, [0] * 40, GREY[:3], [1, 1, -1])
    assert source.images("test").labels.sort().values.tolist() == [-1, 1, 1]
    lines = lines_of(source)
    assert lines[0] == "40 images to train on from images, 3 to test on from test_images"
    assert lines[1] == "labels, training + test images: 0 40 + 0, 1 0 + 2"
    assert lines[2].startswith("test images that equal a training image: 3, such as train/")
    assert lines[3] == "labels without a training image: 1 (2 images to test on)"
    conditional = source_of(GREY, [0] * 40, GREY[:3], [1, 1, -1], labels="full")
    assert conditional.images("test").labels.tolist() == [-1, -1, -1]
    with pytest.raises(vaecli.VaecliError, match="images of 4 x 4, expected 8 x 8, as images has"):
        source_of(GREY, test_images=GREY[:, :4, :4]).images("train")


@pytest.mark.parametrize("labels", [list("abca" * 10), np.array(list("abca" * 10)), np.array([b"a", b"b", b"c", b"a"] * 10)])
def test_words_are_labels(labels):
    train = source_of(GREY, labels).images("train")
    assert train.class_names == ("a", "b", "c")
    assert [train.class_names[number] for number in train.labels] == ["abca"[int(name) % 4] for name in train.names]


@pytest.mark.parametrize("labels", [[0, 3] * 20, np.array([0, 3] * 20, np.uint8), torch.tensor([0, 3] * 20)[:, None]])
def test_numbers_are_labels(labels):
    train = source_of(GREY, labels).images("train")
    assert train.class_names == ("0", "1", "2", "3")
    assert train.labels.tolist() == [3 * (int(name) % 2) for name in train.names]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0] * 39, "found 40 images beside 39 labels"), ([-2] * 40, "found a label -2"), ([10_000] * 40, "found a label 10000"),
        ([0.5] * 40, "expected whole numbers from 0"), ([[1, 0]] * 40, r"shape \(40, 2\)"), (3, "expected whole numbers"),
        ([[1], [1, 2]], "expected whole numbers"), (["a" * 256] * 40, "of 255 letters"),
        ([["a"], 3] * 20, "expected whole numbers"),
        ([], "expected whole numbers"), ([True] * 40, "expected whole numbers"),
    ],
)  # fmt: skip
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(vaecli.VaecliError, match=message):
        source_of(GREY, labels).images("train")


class Digits(torch.utils.data.Dataset):
    classes = ["nought", "one"]

    def __init__(self):
        self.reads = 0

    def __len__(self):
        return len(GREY)

    def __getitem__(self, index):
        self.reads += 1
        return torch.tensor(GREY[index])[None], index % 2


def test_a_torch_dataset_is_read_once():
    digits = Digits()
    source = source_of(digits)
    assert (both(source)[:, 0] == GREY).all()
    assert source.images("test").class_names == ("nought", "one")
    assert source.images("test").labels.tolist() == [int(name) % 2 for name in source.images("test").names]
    assert digits.reads == 40
    with pytest.raises(vaecli.VaecliError, match="labels with images that have labels of their own"):
        source_of(Digits(), [0] * 40)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("x", "images: found a str, expected an array or tensor"), (5, "found an int"), ({}, "found an empty dict"),
        (iter(GREY), "expected an array or tensor"), ([], "found no image"), ([5], "item 0: found an int, expected an image"),
        ([GREY[0], GREY[0, :4]], "item 1: found uint8 of shape \\(4, 8\\), expected uint8 of shape \\(8, 8\\)"),
        ([(GREY[0], 1, 2)], "item 0: found 3 values"), ([(GREY[0], 0.5)], "found a label that is a float"), (GREY[:0], "no image"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(images, message):
    with pytest.raises(vaecli.VaecliError, match=message):
        source_of(images).images("train")


def test_pictures_of_pillow_in_any_mode():
    deep = Image.fromarray(GREY[0].astype(np.uint16) * 16)
    assert source_of([deep] * 3).settled().pixel_range == (0, 4095)
    clear = Image.fromarray(np.dstack((COLOUR[0], np.zeros((8, 8), np.uint8))), "RGBA")
    assert (both(source_of([clear] * 2)) == 255).all(), "transparency is white, as in a folder"
    assert source_of([Image.fromarray(GREY[0] > 9)] * 2).images("train").pixels.unique().tolist() == [0, 255]


def test_images_of_vaecli_are_taken():
    digits = vaecli.load_images("mnist", "test", limit=50)
    source = source_of(digits)
    assert (both(source).reshape(50, -1) == digits.pixels.numpy()).all()
    assert source.images("train").class_names == digits.class_names


def test_what_is_given_is_not_changed_and_not_shared():
    images = GREY.copy()
    train = source_of(images).images("train")
    before = train.pixels.clone()
    images[:] = 0
    assert torch.equal(train.pixels, before)


def test_settings_that_were_given_hold_for_arrays_and_defaults_do_not():
    config = Config(latent_dim=3, epochs=5).of_dataset("array")
    assert config == Config(dataset="array", latent_dim=3, epochs=5)
    assert (config.epochs, config.batch_size, config.likelihood) == (5, "auto", "discretized-logistic")
    conv = Config(dataset="array", arch="conv")
    assert (conv.channels, conv.has_shape) == (None, False)
    with pytest.raises(vaecli.VaecliError, match="settled when the images are known"):
        _ = conv.image_shape
    assert source_of(GREY, arch="conv").settled().channels == (32,)
