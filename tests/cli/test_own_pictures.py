"""A person's own colour pictures with every command."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.helpers import DATA, MORE, one_line, opened
from vaecli.config import Config
from vaecli.data import load_images
from vaecli.data.picture import MEMORY_OF
from vaecli.runs.run import read_run
from vaecli.runs.start import Start

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


SIDE = 4000


def large(path):
    """A picture of 16 megapixels, written in the format of the path's ending."""
    if path.suffix == ".tif":
        tifffile.imwrite(path, np.zeros((SIDE, SIDE), np.float32))
    else:
        mode, colour = ("RGB", (200, 30, 30)) if path.stem == "rgb" else ("RGBA", (200, 30, 30, 128))
        Image.new(mode, (SIDE, SIDE), colour).save(path)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux reports it")
@pytest.mark.parametrize("name", ["rgba.webp", "rgb.webp", "rgba.png", "float.tif"])
def test_unpacking_takes_no_more_memory_than_is_set_aside_for_it(alone, ordinary, emoji, tmp_path, name):
    outcome = alone("reconstruct", emoji, "--image", large(tmp_path / name), "--out", "x.png", "-q")
    assert outcome.code == 0, outcome.err
    aside = MEMORY_OF[{"webp": "WEBP", "png": "PNG", "tif": "TIFF"}[name.split(".")[1]]]["rgb." not in name] * SIDE**2
    assert outcome.peak < ordinary + aside + MORE / 3


def test_a_picture_that_is_cut_or_has_pages_is_noted(vaecli, emoji, tmp_path):
    Image.new("RGB", (80, 40), "red").save(tmp_path / "wide.png")
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "white")]
    frames[0].save(tmp_path / "pages.tif", save_all=True, append_images=frames[1:])
    files = [word for name in ("wide.png", "pages.tif") for word in ("--image", tmp_path / name)]
    outcome = vaecli("reconstruct", emoji, *files, "--out", tmp_path / "x.png")
    assert f"{tmp_path}/wide.png: 80 x 40 pixels, of which the middle is taken" in outcome.err
    assert f"{tmp_path}/pages.tif: 2 pages after the first left out" in outcome.err
    (tmp_path / "more").mkdir()
    for number in range(3):
        shutil.copy(tmp_path / "wide.png", tmp_path / f"more/{number}.png")
    assert (
        "80 x 40 pixels, of which the middle is taken: 3 pictures"
        in vaecli("reconstruct", emoji, "--image", tmp_path / "more", "--out", tmp_path / "x.png").err
    )


def test_libraries_complaints_do_not_reach_stderr_and_notes_do(alone, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(PICTURES / "flags", own)
    values = np.random.default_rng(0).integers(65536, size=(64, 64), dtype=np.uint16)
    tifffile.imwrite(own / "whole.tif", values, compression="zlib")
    (own / "cut.tif").write_bytes((own / "whole.tif").read_bytes()[:2000])
    (own / "whole.tif").unlink()
    words = ["train", "--dataset", "folder", "--data-dir", own, "--image-size", "16", "--epochs", "1", "--name", "x"]
    assert alone(*words, "-q").err == ""
    err = alone(*words, "--overwrite").err
    assert "cut.tif: cannot be read as a picture (a TIFF file that is cut short or damaged" in err
    assert "TIFFFillStrip" not in err and "ZIPDecode" not in err


@pytest.mark.parametrize("words", [["--data-dir", ""], ["--data-dir="], ["--name", ""], ["--out", ""]])
def test_an_empty_value_is_refused(vaecli, words):
    line = one_line(vaecli("train", *words), 2)
    assert line.startswith(f"vaecli: {words[0].rstrip('=')}: found an empty value")


def test_an_option_with_two_names_is_called_as_it_was_typed(vaecli, emoji, tmp_path):
    for name in "--label", "--digit":
        for words in ([name, "zz"], [f"{name}=zz"]):
            assert f"{name} zz: expected the name of a label" in one_line(vaecli("reconstruct", emoji, *words, "-q"), 2)


def test_folders_in_any_alphabet_have_names_of_their_own(tmp_path):
    names = ["фото", "写真", "\N{FOX FACE}", "\N{PANDA FACE}", "a" * 100 + "b", "a" * 100 + "c", "My Pictures (2)"]
    for name in names:
        shutil.copytree(PICTURES / "flags", tmp_path / name)
    starts = [Start(Config(dataset="folder"), tmp_path / name) for name in names]
    made = [start.run_name for start in starts]
    assert made[0].startswith("фото-z2") and made[1].startswith("写真-z2") and made[6].startswith("My-Pictures-2-z2")
    assert len(set(made)) == len(names)


def test_what_was_understood_is_in_json(vaecli):
    words = ["--dataset", "folder", "--data-dir", PICTURES, "--image-size", "16", "--arch", "mlp", "--hidden", "4"]
    outcome = vaecli("train", *words, "--epochs", "1", "--name", "json", "--json", "-q")
    data = json.loads(outcome.out)["data"]
    assert data["splits"]["train"]["labels"] == {"flags": 7, "food-drink": 6, "travel-places": 7}
    assert (data["duplicates"], data["splits"]["train"]["scaled"], data["pixel_range"]) == (0, 20, [0, 255])
    assert json.loads(outcome.out)["settings"]["pixel_range"] == [0, 255]


def test_a_search_finds_its_runs_again(vaecli):
    words = ["--dataset", "folder", "--data-dir", PICTURES, "--image-size", "8", "--arch", "mlp", "--hidden", "4", "--epochs", "1"]
    words += ["--latent-dim", "1,2", "--validation", "4", "-q"]
    first, second = (vaecli("search", *words, "--name", name) for name in ("first", "second"))
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert first.out.splitlines()[-1] == second.out.splitlines()[-1]
    assert len(list(Path("checkpoints").glob("pictures-*"))) == 2


@pytest.mark.parametrize("kept", [0, 5])
def test_a_search_holds_out_what_the_folder_keeps_for_it_or_a_sixth(vaecli, tmp_path, kept):
    own = tmp_path / "own"
    for split in "train", "test":
        shutil.copytree(PICTURES, own / split)
    if kept:
        shutil.copytree(PICTURES / "flags", own / "val/flags")
        for picture in sorted((own / "val/flags").iterdir())[kept:]:
            picture.unlink()
    words = ["--dataset", "folder", "--data-dir", own, "--image-size", "8", "--arch", "mlp", "--hidden", "4", "--epochs", "1"]
    outcome = vaecli("search", *words, "--latent-dim", "1,2", "--name", "s")
    assert outcome.code == 0, outcome.err
    assert f"on the last {kept or 4} training images" in outcome.err
    (understood,) = [line for line in outcome.err.splitlines() if " to train on " in line]
    assert f"{24 if kept else 20} pictures to train on from train/, {kept or 4} to choose by" in understood
    assert len([line for line in outcome.err.splitlines() if "test pictures that equal" in line]) == 1, "once for the search"


def test_the_list_of_a_run_that_is_replaced_is_its_own(vaecli, tmp_path):
    for name in ("old", "new"):
        shutil.copytree(PICTURES / "flags", tmp_path / name)
    first, second, *_ = sorted((PICTURES / "food-drink").iterdir())
    shutil.copy(first, tmp_path / "new/-x.png")
    words = ["--dataset", "folder", "--image-size", "8", "--arch", "mlp", "--hidden", "4", "--epochs", "1", "--name", "one", "-q"]
    for name in ("old", "new"):
        run = vaecli("train", "--data-dir", tmp_path / name, *words, *(["--overwrite"] if name == "new" else [])).path
    (row,) = (line for line in (run / "pictures.csv").read_text().splitlines() if "-x.png" in line)
    shutil.copy(second, tmp_path / "new/-x.png")
    line = one_line(vaecli("reconstruct", run, "--split", row.split(",")[0]), 1)
    assert line.endswith("pictures, 1 with other pixels ('-x.png); give the folder of the run's images with --data-dir DIR")
