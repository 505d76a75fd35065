"""`--as png` and `--as npz`: samples and reconstructions as they are."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import DATA, one_line
from vaecli.analysis.sampling import reconstruct, sample
from vaecli.image_shape import ImageShape
from vaecli.plotting.image_files import image_array
from vaecli.runs.run import load

PICTURES = DATA / "emoji" / "pictures"


def pixels(path):
    return np.array(Image.open(path))


def bytes_of(images, shape):
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).view(-1, *shape).numpy()


def test_each_sample_is_a_file_with_the_pixels_of_the_library(vaecli, run_copy):
    outcome = vaecli("sample", "small", "--n", "11", "--as", "png", "--seed", "3")
    assert outcome.out == "checkpoints/small/samples\n"
    expected = sample(load("small").model, 11, seed=3)
    for kind, images in (("mean", expected.mean), ("draw", expected.draw)):
        for number, image in enumerate(bytes_of(images, (28, 28))):
            assert np.array_equal(pixels(run_copy / "samples" / f"{kind}-{number:02}.png"), image)
    assert len(list((run_copy / "samples").iterdir())) == 22


def test_arrays_are_those_of_the_library(vaecli, run_copy, tmp_path):
    assert vaecli("sample", "small", "--n", "4", "--as", "npz", "--kind", "mean", "--out", "mine.npz").out == "mine.npz\n"
    expected = sample(load("small").model, 4)
    with np.load(tmp_path / "mine.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"mean", "z"}
        assert np.array_equal(arrays["mean"], expected.mean.view(-1, 28, 28).numpy())
        assert np.array_equal(arrays["z"], expected.z.numpy())


def test_reconstructions_stand_beside_the_originals(vaecli, run_copy):
    run = load("small")
    images = run.images("test")[:3]
    expected = reconstruct(run.model, images)
    assert vaecli("reconstruct", "small", "--n", "3", "--as", "npz", "-q").out == "checkpoints/small/reconstructions.npz\n"
    with np.load(run_copy / "reconstructions.npz", allow_pickle=False) as arrays:
        for kind, values in (("original", expected.x), ("mean", expected.mean), ("draw", expected.draw)):
            assert np.array_equal(arrays[kind], values.view(-1, 28, 28).numpy())
        assert arrays["label"].tolist() == images.labels.tolist()
        assert arrays["name"].tolist() == ["0", "1", "2"]
    files = json.loads(vaecli("reconstruct", "small", "--n", "3", "--as", "png", "--out", "here", "--json", "-q").out)["files"]
    assert files == [f"here/{kind}-{number}.png" for kind in ("original", "mean", "draw") for number in range(3)]


def test_a_path_between_two_images_is_written_too(vaecli, run_copy):
    assert vaecli("sample", "small", "--between", "0", "1", "--n", "3", "--as", "png").out == "checkpoints/small/between\n"
    assert sorted(file.name for file in (run_copy / "between").iterdir()) == ["mean-0.png", "mean-1.png", "mean-2.png"]
    assert vaecli("sample", "small", "--between", "0", "1", "--n", "3", "--as", "npz").code == 0
    with np.load(run_copy / "between.npz") as arrays:
        assert (arrays["mean"].shape, arrays["z"].shape) == ((3, 28, 28), (3, 2))


def test_colours_and_labels_are_kept(vaecli):
    words = [
        "--dataset",
        "folder",
        "--data-dir",
        PICTURES,
        "--image-size",
        "8",
        "--hidden",
        "4",
        "--epochs",
        "1",
        "--labels",
        "full",
    ]
    assert vaecli("train", *words, "--name", "coloured", "-q").code == 0
    run = load("coloured")
    assert vaecli("sample", "coloured", "--n", "2", "--as", "npz", "-q").code == 0
    with np.load(run.path / "samples.npz") as arrays:
        labels = len(run.class_names)
        assert arrays["mean"].shape == (2 * labels, 8, 8, 3)
        assert arrays["label"].tolist() == [label for label in range(labels) for _ in range(2)]
        mean = arrays["mean"]
    assert vaecli("sample", "coloured", "--n", "2", "--kind", "mean", "--as", "png", "-q").code == 0
    for label in range(labels):
        for number in range(2):
            image = pixels(run.path / "samples" / f"mean-{label}-{number}.png")
            assert image.shape == (8, 8, 3)
            assert np.array_equal(image, (mean[2 * label + number] * 255).round().astype(np.uint8))


def test_the_axes_are_those_of_pictures():
    """A red, a green and a blue plane become the three values of each pixel."""
    planes = torch.cat([torch.full((6,), value) for value in (1.0, 0.5, 0.0)])[None]
    array = image_array(planes, ImageShape(3, 2, 3))
    assert array.shape == (1, 2, 3, 3)
    assert (array == np.array([1.0, 0.5, 0.0], dtype=np.float32)).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--as", "png", "--out", "x.png"], "--out x.png: expected a folder, since several files are written"),
        (["--as", "npz", "--out", "x.png"], "--out x.png: expected a folder, or a file that ends in .npz"),
        (["--out", "x.npz"], "--out x.npz: expected a folder, or a file that ends in .png, .pdf or .svg"),
        (["--as", "gif"], "'--as': 'gif' is not one of 'png', 'npz'."),
    ],
)
@pytest.mark.parametrize("command", ["sample", "reconstruct"])
def test_a_place_for_another_kind_of_file_is_refused(vaecli, tmp_path, command, words, said):
    assert said in one_line(vaecli(command, *words), 2)
    assert not list(tmp_path.iterdir())


def test_images_that_were_there_are_mentioned(vaecli, run_copy):
    assert "before" not in vaecli("sample", "small", "--n", "3", "--kind", "mean", "--as", "png").err
    said = vaecli("sample", "small", "--n", "1", "--kind", "mean", "--as", "png").err
    assert said == "checkpoints/small/samples: 2 other .png files were there before\n"
    (run_copy / "reconstructions").write_text("a file")
    assert "found a file, expected a place for a folder of images" in one_line(vaecli("reconstruct", "small", "--as", "png"), 1)
