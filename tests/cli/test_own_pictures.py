"""A person's own colour pictures with every command."""

import json
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file

from tests.helpers import DATA, MORE, one_line, opened
from vaecli.data import load_images
from vaecli.runs.run import read_run

PICTURES = DATA / "emoji/pictures"
SMALL = ["--arch", "conv", "--channels", "4,8", "--hidden", "16", "--latent-dim", "2", "--epochs", "2", "--batch-size", "8"]


@pytest.fixture(scope="module")
def emoji(tmp_path_factory):
    """A conditional run on 32 x 32 colour pictures."""
    from vaecli.cli.app import main

    out = tmp_path_factory.mktemp("emoji")
    words = ["train", "--dataset", "folder", "--data-dir", str(PICTURES), "--image-size", "32", "--labels", "full", *SMALL]
    assert main([*words, "--out", str(out), "--name", "run", "-q"]) == 0
    return out / "run"


def test_a_run_knows_the_shape_and_the_labels_of_its_images(emoji):
    run = read_run(emoji)
    assert run.class_names == ("flags", "food-drink", "travel-places")
    assert str(run.config.image_shape) == "32 x 32 x 3"
    assert run.model.labels == 3
    assert run.config.likelihood == "discretized-logistic"
    assert run.images("train").shape == run.config.image_shape


def test_its_default_name_is_that_of_the_folder(vaecli):
    outcome = vaecli("train", "--dataset", "folder", "--data-dir", PICTURES, *SMALL, "--epochs", "1")
    assert outcome.path.name == "pictures-z2-elbo-conv-hidden16-channels4_8-e1-bs8"


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "--n", "2"],
        ["sample", "--between", "0", "1", "--n", "3"],
        ["reconstruct", "--n", "2"],
        ["reconstruct", "--image", PICTURES / "flags", "--label", "flags"],
        ["latent-plot"],
        ["latent-plot", "--thumbnails"],
        ["inpaint", "--n", "1", "--starts", "1", "--steps", "5"],
    ],
    ids=lambda words: " ".join(map(str, words[:2])),
)
def test_every_picture_is_in_colour(vaecli, emoji, tmp_path, words):
    outcome = vaecli(words[0], emoji, *words[1:], "--out", tmp_path / "x.png", "-q")
    assert outcome.code == 0, outcome.err
    pixels = torch.frombuffer(bytearray(opened(outcome.out.splitlines()[-1]).tobytes()), dtype=torch.uint8).view(-1, 3).int()
    assert int((pixels.amax(1) - pixels.amin(1) > 30).sum()) > 100


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux reports it")
def test_samples_of_the_largest_images_take_little_memory(vaecli, alone, ordinary):
    large = ["--image-size", "256", "--arch", "conv", "--channels", "4", "--hidden", "4", "--epochs", "1", "--limit", "2"]
    run = vaecli("train", "--dataset", "folder", "--data-dir", PICTURES, *large, "--name", "large", "-q").path
    outcome = alone("sample", run.resolve(), "--n", "60", "--kind", "mean", "--out", "x.png", "-q")
    assert outcome.code == 0, outcome.err
    assert outcome.peak < ordinary + 2 * MORE


def test_inpainting_large_images_takes_no_grid(vaecli, emoji, tmp_path):
    outcome = vaecli("inpaint", emoji, "--n", "1", "--starts", "1", "--steps", "5", "--out", tmp_path / "x.png", "--json")
    (image,) = json.loads(outcome.out)["images"]
    assert "predictive_score" in image and "log_p_seen" not in image
    assert "is no bound on log p(missing | seen)" in outcome.err


def test_the_decoder_over_the_plane_takes_a_label_by_name(vaecli, emoji, tmp_path):
    path = vaecli("latent-plot", emoji, "--manifold", "--label", "food-drink", "--out", tmp_path / "x.png", "-q").path
    assert opened(path).width > 20 * 33 * 3
    line = one_line(vaecli("latent-plot", emoji, "--manifold", "--label", "food", "--out", tmp_path / "y.png", "-q"), 2)
    assert "did you mean food-drink?" in line


def test_originals_stand_in_the_picture_as_they_are(vaecli, emoji, tmp_path):
    page = opened(vaecli("reconstruct", emoji, "--n", "1", "--out", tmp_path / "x.png", "-q").path)
    original = read_run(emoji).images("test").pixels[0].view(3, 32, 32)
    shown = torch.frombuffer(bytearray(page.tobytes()), dtype=torch.uint8).view(page.height, page.width, 3).permute(2, 0, 1)
    large = original.repeat_interleave(3, 1).repeat_interleave(3, 2)
    places = shown.unfold(1, 96, 1).unfold(2, 96, 1)[:, :, :60]
    assert (places == large.view(3, 1, 1, 96, 96)).all(-1).all(-1).all(0).any()


def test_compare_and_encode(vaecli, emoji, tmp_path):
    (row,) = json.loads(vaecli("compare", emoji, "--k", "5", "--out", tmp_path, "--json", "-q").out)["table"]
    dimensions = 3 * 32 * 32
    assert row["bits_per_dim"]["elbo"] == pytest.approx(-row["elbo"] / dimensions / torch.log(torch.tensor(2.0)).item(), rel=1e-5)
    file = vaecli("encode", emoji, "--split", "train", "--out", tmp_path / "z.safetensors", "-q").path
    assert load_file(file)["mean"].shape == (len(read_run(emoji).images("train")), 2)


def test_it_repeats_itself_and_goes_on(vaecli, emoji, tmp_path):
    again = vaecli("train", "--config", emoji / "config.json", "--name", "again", "-q").path
    assert (again / "model.safetensors").read_bytes() == (emoji / "model.safetensors").read_bytes()
    assert vaecli("train", "--name", "again", "--resume", "--epochs", "3").code == 0


def test_other_pictures_are_refused(vaecli, emoji, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(PICTURES, own)
    (own / "flags/1f1e6-1f1f9.png").unlink()
    (own / "food-drink/1f346.png").write_bytes((own / "food-drink/1f374.png").read_bytes())
    line = one_line(vaecli("reconstruct", emoji, "--data-dir", own, "-q"), 1)
    assert "of its 4 test pictures, 1 missing (flags/1f1e6-1f1f9.png), 1 new (" in line
    assert "1 with other pixels (food-drink/1f346.png); give the folder of the run's images with --data-dir DIR" in line
    (emoji / "pictures.csv").rename(emoji / "kept")
    assert "they have SHA-256" in one_line(vaecli("reconstruct", emoji, "--data-dir", own, "-q"), 1)
    (emoji / "kept").rename(emoji / "pictures.csv")


def test_pictures_without_labels(vaecli, tmp_path):
    flat = PICTURES / "flags"
    run = vaecli("train", "--dataset", "folder", "--data-dir", flat, "--colour", "grey", *SMALL, "--name", "flat", "-q").path
    assert read_run(run).class_names == ()
    assert load_images("folder", "train", flat, image_size=16, colour="grey").pixels.shape[1] == 256
    assert vaecli("compare", run, "--limit", "3", "-q").code == 0
    assert "leave --digit out" in one_line(vaecli("reconstruct", run, "--digit", "0", "-q"), 2)
    line = one_line(vaecli("train", "--dataset", "folder", "--data-dir", flat, "--labels", "full", "-q"), 2)
    assert line == "vaecli: --labels full: the images have none; expected sub-folders, one a label, or --labels none"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--image-size", "51", "--arch", "conv"], "--image-size 51 with --arch conv: each convolution halves the image"),
        (["--image-size", "20", "--arch", "conv", "--channels", "8,8,8"], "expected at most 2, since 20 pixels"),
        (["--image-size", "300"], "--image-size 300: expected a whole number from 4 to 256"),
        (["--dataset", "mnist", "--colour", "rgb"], "mnist has no such option"),
        (["--dataset", "mnist", "--image-size", "20"], "found images of 28 x 28 pixels, expected 20 x 20"),
    ],
)
def test_shapes_that_cannot_be(vaecli, words, expected):
    line = ["train", "--dataset", "folder", *words, *([] if "mnist" in words else ["--data-dir", PICTURES]), "-q"]
    assert expected in one_line(vaecli(*line), 1 if words[-1] == "20" else 2)
