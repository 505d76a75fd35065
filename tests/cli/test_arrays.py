"""Runs on arrays, given in Python or as a file, and every command on them."""

import json

import numpy as np
import pytest
import torch

import vaecli as library
from tests.helpers import one_line
from vaecli.runs.run import read_run

SMALL = ["--hidden", "8", "--epochs", "2", "--batch-size", "16"]
SETTINGS = {"hidden": (8,), "epochs": 2, "batch_size": 16}


def colours():
    return np.random.default_rng(0).integers(0, 256, (60, 6, 8, 3), np.uint8)


WORDS = ["ab", "c"] * 30


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A file of arrays, and a conditional run on it."""
    from vaecli.cli.app import main

    folder = tmp_path_factory.mktemp("arrays")
    np.savez(folder / "crops.npz", images=colours(), labels=WORDS)
    words = ["train", "--dataset", "array", "--data-dir", str(folder / "crops.npz"), "--labels", "full", "--arch", "conv", *SMALL]
    for name, latents in (("run", "2"), ("inpaint", "3")):
        assert main([*words, "--latent-dim", latents, "--out", str(folder), "--name", name, "-q"]) == 0
    return folder


def test_a_run_knows_the_shape_and_the_labels_of_the_array(kept):
    run = read_run(kept / "run")
    config = run.config
    assert (config.image_size, config.colour, config.pixel_range, config.channels) == (8, "rgb", (0, 255), (32,))
    assert (run.class_names, run.model.labels, config.likelihood) == (("ab", "c"), 2, "discretized-logistic")
    assert run.provenance.data.folder == str(kept / "crops.npz")
    assert torch.equal(run.images("train").pixels[0].view(3, 8, 8)[:, [0, 7]], torch.zeros(3, 2, 8, dtype=torch.uint8)), "a border"


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "--n", "2"],
        ["sample", "--between", "0", "1", "--n", "3"],
        ["reconstruct", "--n", "2", "--label", "c"],
        ["latent-plot", "--thumbnails"],
        ["explore"],
        ["inpaint", "--n", "1", "--starts", "1", "--steps", "5"],
        ["compare", "--k", "2"],
        ["encode", "--out", "latents.csv"],
        ["score", "--limit", "3"],
    ],
    ids=lambda words: words[0],
)
def test_every_command_works_on_such_a_run(vaecli, kept, words):
    outcome = vaecli(words[0], kept / ("inpaint" if words[0] == "inpaint" else "run"), *words[1:])
    assert outcome.code == 0, outcome.err


def test_what_train_says_and_the_name_that_the_run_gets(vaecli, kept):
    outcome = vaecli("train", "--dataset", "array", "--data-dir", kept / "crops.npz", *SMALL, "--json")
    said = [line.removeprefix(f"{kept / 'crops.npz'}: ") for line in outcome.err.splitlines()]
    assert said[0] == "48 images to train on, 12 to test on, chosen by a hash of their pixels"
    assert said[1].startswith("labels, training + test images: ab ")
    assert said[2] == "6 x 8 pixels, with a black border to 8 x 8"
    data = json.loads(outcome.out)["data"]
    assert (data["bordered"], data["two_shades"], data["pixel_range"]) == ([6, 8], False, [0, 255])
    assert data["splits"]["train"]["pictures"] == 48
    assert json.loads(outcome.out)["runs"][0]["name"] == "crops-z2-elbo-hidden8-e2-bs16"


def test_the_layers_are_those_of_the_array(vaecli, kept):
    words = ["train", "--dataset", "array", "--dry-run", "--json", "--arch", "conv"]
    layers = json.loads(vaecli(*words, "--data-dir", kept / "crops.npz").out)["layers"]
    assert layers[0]["inputs"] == [3, 8, 8]
    assert "found no file of arrays" in one_line(vaecli(*words), 1)


def test_a_search_settles_what_the_array_decides(vaecli, kept):
    outcome = vaecli("search", "--dataset", "array", "--data-dir", kept / "crops.npz", "--latent-dim", "1,2", *SMALL, "--json")
    best = read_run(json.loads(outcome.out)["best"]["path"])
    assert (best.config.image_size, best.config.colour, best.config.validation) == (8, "rgb", 8)


def test_an_array_and_its_file_give_the_same_run_byte_for_byte(tmp_path, monkeypatch, kept):
    monkeypatch.chdir(tmp_path)
    given = library.train(library.Config(**SETTINGS), "given", images=colours(), labels=WORDS)
    read = library.train(library.Config(dataset="array", **SETTINGS), "read", data_dir=kept / "crops.npz")
    assert given.config == read.config
    assert given.provenance.data.train == read.provenance.data.train
    weights = [run.model.state_dict() for run in (given, read)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_run_on_an_array_goes_on_with_the_same_array_only(tmp_path):
    images = colours()
    whole = library.train(library.Config(**SETTINGS), tmp_path / "whole", images=images)
    library.train(library.Config(**SETTINGS | {"epochs": 1}, lr_schedule="constant"), tmp_path / "run", images=images)
    longer = library.Config(**SETTINGS, lr_schedule="constant")
    changed = images.copy()
    changed[7] ^= 255
    with pytest.raises(library.VaecliError, match=r"images: its .* images are not those of the run run: of its .* \(7\)"):
        library.train(longer, tmp_path / "run", images=changed, resume=True)
    run = library.train(longer, tmp_path / "run", images=torch.tensor(images), resume=True)
    constant = library.train(longer, tmp_path / "constant", images=images)
    assert run.results == constant.results
    assert whole.results != constant.results, "the schedule of the default is another"


def test_a_run_on_an_array_from_python_says_that_it_needs_it_again(vaecli, tmp_path):
    library.train(library.Config(**SETTINGS), tmp_path / "checkpoints/mine", images=colours(), labels=WORDS)
    commands = [["reconstruct"], ["encode"], ["compare", "--table-only"], ["latent-plot"], ["explore"], ["inpaint", "--n", "1"]]
    for command in commands:
        assert one_line(vaecli(*command, "mine"), 1) == (
            "vaecli: the run mine was trained on arrays that were given in Python, and keeps no copy of them; save all of them, "
            "such as with np.savez('FILE.npz', images=..., labels=...), and give the file with --data-dir FILE.npz"
        )
    np.savez("saved.npz", images=colours(), labels=WORDS)
    for command in commands:
        assert vaecli(*command, "mine", "--data-dir", "saved.npz", "-q").code == 0
    np.savez("other.npz", images=255 - colours(), labels=WORDS)
    line = one_line(vaecli("reconstruct", "mine", "--data-dir", "other.npz"), 1)
    assert line.startswith("vaecli: other.npz: its test images are not those of the run mine: of its 12 test pictures, ")
    assert line.endswith("; give the run's own arrays, in a file with --data-dir FILE.npz")


def test_its_resume_needs_it_too(vaecli, tmp_path):
    library.train(library.Config(**SETTINGS), tmp_path / "checkpoints/mine", images=colours(), labels=WORDS)
    words = ["train", "--name", "mine", "--resume", "--epochs", "3", "-q"]
    assert one_line(vaecli(*words), 1).startswith("vaecli: the run mine was trained on arrays that were given in Python")
    np.savez("saved.npz", images=colours(), labels=WORDS)
    assert vaecli(*words, "--data-dir", "saved.npz").code == 0


@pytest.mark.parametrize(
    ("settings", "arguments", "message"),
    [
        ({"dataset": "folder"}, {}, "dataset=folder with images: expected dataset=array, or leave dataset out"),
        ({}, {"data_dir": "x"}, "data_dir with images: expected only one of them"),
        ({}, {"images": None, "labels": [1]}, "labels without images: expected both"),
        ({}, {"test_labels": [1]}, "test_labels without test_images: expected both"),
        ({"image_size": 4}, {}, "images: images: found images of 6 x 8 x 3, expected image_size=4 to be 8 or more"),
        ({"arch": "conv", "image_size": 9}, {}, "image_size=9 with arch=conv: each convolution halves the image, expected an even"),
    ],
)
def test_what_contradicts_the_array_is_refused(tmp_path, settings, arguments, message):
    with pytest.raises(library.VaecliError) as caught:
        library.train(library.Config(**settings), tmp_path / "run", **{"images": colours()} | arguments)
    assert str(caught.value).startswith(message.removeprefix("images: "))
    assert not (tmp_path / "run/config.json").exists()


def test_pictures_of_ones_own_have_a_range_of_their_own(vaecli, tmp_path):
    from PIL import Image

    library.train(library.Config(**SETTINGS), tmp_path / "checkpoints/mine", images=colours() / 255)
    Image.fromarray(colours()[0]).resize((8, 8)).save(tmp_path / "a.png")
    outcome = vaecli("reconstruct", "mine", "--image", "a.png")
    assert outcome.code == 0, outcome.err
    shown = library.load("checkpoints/mine")
    assert shown.config.pixel_range == (0, 1)
    from vaecli.analysis.images import choose_images

    pixels = choose_images(shown, pictures=[tmp_path / "a.png"]).pixels
    assert 50 < float(pixels.float().mean()) < 200
