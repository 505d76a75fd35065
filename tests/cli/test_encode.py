"""Latents in files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from tests.helpers import one_line, write_idx
from vaecli.analysis.encoding import split_or_other
from vaecli.data import load_images
from vaecli.data.images import UNKNOWN, Images
from vaecli.evaluation.encode import encode
from vaecli.runs.run import read_run


@pytest.fixture
def expected(trained):
    """The posteriors of the run's test images, and these."""
    images = load_images("mnist", "test", limit=200)
    return encode(read_run(trained).model, images), images


def arrays_of(path):
    """The arrays of a file in any of the formats."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    if path.suffix == ".safetensors":
        with safe_open(path, "np") as file:
            texts = {name: np.array(text) for name, text in json.loads(file.metadata()["images"]).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors | texts
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    latents = sum(name.startswith("mean_") for name in rows[0])

    def columns(kind):
        return np.array([[row[f"{kind}_{number + 1}"] for number in range(latents)] for row in rows], dtype=np.float32)

    return {
        "mean": columns("mean"), "log_scale": columns("log_scale"), "label": np.array([int(row["label"]) for row in rows]),
        "name": np.array([row["name"] for row in rows]), "label_name": np.array([row["label_name"] for row in rows]),
    }  # fmt: skip


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".safetensors"])
def test_every_format_holds_the_posteriors(vaecli, run_copy, expected, suffix):
    q, images = expected
    path = vaecli("encode", "small", "--out", f"x/y{suffix}").path
    assert str(path) == f"x/y{suffix}"
    found = arrays_of(path)
    assert (found["mean"].dtype, found["log_scale"].dtype, found["label"].dtype) == (np.float32, np.float32, np.int64)
    assert np.array_equal(found["mean"], q.mean.numpy())
    assert np.array_equal(found["log_scale"], q.stddev.log().numpy())
    assert np.array_equal(found["label"], images.labels.numpy())
    assert found["name"].tolist() == [str(number) for number in range(200)]
    names = found["label_name" if suffix == ".csv" else "class_names"]
    assert names.tolist() == ([str(label) for label in images.labels.tolist()] if suffix == ".csv" else list("0123456789"))
    before = path.read_bytes()
    assert "Replacing" in vaecli("encode", "small", "--out", path).err
    assert path.read_bytes() == before


def test_by_default_they_go_to_the_run(vaecli, run_copy):
    assert str(vaecli("encode").path) == "checkpoints/small/latents.npz"
    assert str(vaecli("encode", "--out", "folder").path) == "folder/latents.npz"
    assert vaecli("encode", "-q", "--split", "train", "--n", "7").err == ""
    assert len(arrays_of(run_copy / "latents.npz")["mean"]) == 7
    printed = json.loads(vaecli("encode", "-q", "--json").out)
    assert (printed["images"], printed["latent_dim"]) == (200, 2)


def test_own_pictures_have_their_names_and_no_label(vaecli, run_copy, expected, tmp_path):
    q, images = expected
    (tmp_path / "mine" / "deeper").mkdir(parents=True)
    for name, pixels in (("mine/b =1.png", images.pixels[0]), ("mine/deeper/a.png", images.pixels[1]), ("c.png", images.pixels[2])):
        Image.frombytes("L", (28, 28), pixels.numpy().tobytes()).save(tmp_path / name)
    (tmp_path / "mine" / "notes.txt").write_text("no picture")
    (tmp_path / "mine" / "bad.png").write_text("no picture")
    outcome = vaecli("encode", "small", "--image", "mine", "--image", "c.png")
    found = arrays_of(outcome.path)
    assert found["name"].tolist() == ["mine/b =1.png", "mine/deeper/a.png", "c.png"]
    assert found["label"].tolist() == [UNKNOWN] * 3
    torch.testing.assert_close(torch.tensor(found["mean"]), q.mean[:3])
    assert "mine/bad.png: cannot be read as a picture" in outcome.err
    assert "since they cannot be read: 1" in outcome.err
    limited = vaecli("encode", "small", "--image", "mine", "--n", "1")
    assert arrays_of(limited.path)["name"].tolist() == ["mine/b =1.png"]
    assert "Found 3 pictures: the first 1" in limited.err
    assert arrays_of(vaecli("encode", "small", "--image", "c.png", "--out", "x.csv").path)["label_name"].tolist() == [""]


def test_sub_folders_that_are_called_like_labels_are_labels(vaecli, run_copy, expected, tmp_path):
    for folder, number in (("mine/7", 0), ("mine/else/1", 1), ("mine/2", 2)):
        (tmp_path / folder).mkdir(parents=True)
        pixels = expected[1].pixels[number]
        Image.frombytes("L", (28, 28), pixels.numpy().tobytes()).save(tmp_path / folder / "x.png")
    found = arrays_of(vaecli("encode", "small", "--image", "mine").path)
    assert dict(zip(found["name"].tolist(), found["label"].tolist(), strict=True)) == {
        "mine/2/x.png": 2, "mine/7/x.png": 7, "mine/else/1/x.png": UNKNOWN,
    }  # fmt: skip


def test_a_conditional_model_sees_the_labels_unless_they_are_hidden(vaecli, small_mnist):
    more = ["--labels", "full", "--epochs", "1", "--limit", "200", "--name", "labels", "--data-dir", small_mnist]
    run = read_run(vaecli("train", *more, "-q").path)
    images = load_images("mnist", "test", limit=200)
    seen, hidden = (arrays_of(vaecli("encode", "labels", "-q", *words).path) for words in ([], ["--no-label"]))
    assert np.array_equal(seen["mean"], encode(run.model, images).mean.numpy())
    assert not np.array_equal(seen["mean"], hidden["mean"])
    assert np.array_equal(hidden["label"], images.labels.numpy())
    Image.frombytes("L", (28, 28), images.pixels[0].numpy().tobytes()).save("seven.png")
    one = arrays_of(vaecli("encode", "labels", "--image", "seven.png", "--label", "7").path)
    assert one["label"].tolist() == [7]
    np.testing.assert_allclose(one["mean"], seen["mean"][:1], rtol=1e-5, atol=1e-6)


def test_other_images_than_the_runs_are_encoded_with_a_note(vaecli, run_copy, digits, tmp_path):
    write_idx(tmp_path / "other", "t10k", digits[:5])
    outcome = vaecli("encode", "small", "--data-dir", "other")
    assert "other: other test images than those of the run small" in outcome.err
    found = arrays_of(outcome.path)
    assert np.array_equal(found["mean"], encode(read_run(run_copy).model, digits[:5]).mean.numpy())
    assert np.array_equal(found["label"], digits.labels[:5].numpy())


def test_labels_of_other_images_are_the_runs_by_name(trained, digits):
    other = Images(digits.pixels[:4], torch.tensor([0, 1, UNKNOWN, 1]), ("x", "7"))
    images, own = split_or_other(read_run(trained), "test", Path("other"), lambda *place: other)
    assert not own
    assert images.labels.tolist() == [UNKNOWN, 7, UNKNOWN, 7]
    assert images.class_names == tuple("0123456789")


def test_the_runs_images_elsewhere_have_no_note(vaecli, run_copy, small_mnist):
    assert "other test images" not in vaecli("encode", "small", "--data-dir", small_mnist).err


def test_what_is_in_the_way_stays(vaecli, run_copy, tmp_path):
    (tmp_path / "x.npz").mkdir()
    assert str(vaecli("encode", "small", "--out", "x.npz").path) == "x.npz/latents.npz"
    (run_copy / "latents.npz").mkdir()
    assert "found a folder, expected a place for latents" in one_line(vaecli("encode", "small"), 1)
    (tmp_path / "empty").mkdir()
    assert "empty: found 0 files named like pictures" in one_line(vaecli("encode", "small", "--image", "empty", "--out", "x"), 1)
