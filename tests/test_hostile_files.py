"""Hostile files: each costs one line, little memory and no wait."""

import contextlib
import gzip
import json
import lzma
import os
import shutil
import socket
import struct
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers import refused
from vaecli.config import Config
from vaecli.model import skeleton
from vaecli.reading import read_file
from vaecli.runs.find import CONFIG, FILES, LOSS, MODEL, TRAINING
from vaecli.runs.format import _heading, _start_digest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux tells it")

MORE = 300e6
"""Bytes of resident memory that a hostile file may take over an ordinary `sample`."""

MEASURE = ["--limit", "5", "--k", "0", "--table-only", "-q"]


@pytest.fixture(scope="module")
def ordinary(forked, trained, tmp_path_factory):
    """The peak of the resident memory of an ordinary `sample`."""
    outcome = forked(tmp_path_factory.mktemp("ordinary"), "sample", trained, "-q")
    assert outcome.code == 0
    return outcome.peak


def put(path, kind):
    """Puts something that is no regular file, or that has holes, in the place of a file."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    match kind:
        case "FIFO":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "socket":
            with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as made:
                made.bind(path.name)
        case "device":
            path.symlink_to("/dev/zero")
        case "holes":
            with path.open("wb") as file:
                file.truncate(10 << 30)


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder", "socket", "holes"])
def test_only_regular_files_of_the_size_expected_are_read(tmp_path, kind):
    put(tmp_path / "file", kind)
    with pytest.raises(
        OSError, match="found more than the 100 bytes" if kind == "holes" else f"found a {kind}, not a regular file"
    ):
        read_file(tmp_path / "file", 100)


def test_a_file_of_the_system_without_length_is_read_as_empty():
    """Some of these make their readers wait."""
    assert read_file(Path("/proc/version"), 100) == b""


@pytest.mark.parametrize("kind", ["FIFO", "holes"])
def test_a_run_made_of_what_is_no_file(alone, ordinary, run_copy, kind):
    """None of it hangs, floods or is taken for what it is not; a damaged log costs a picture, a damaged copy is written anew."""
    lines = {
        MODEL: (1, ["sample", "small", "-q"]),
        TRAINING: (1, ["train", "--name", "small", "--resume", "-q"]),
        CONFIG: (2, ["train", "--config", run_copy / CONFIG, "--dry-run"]),
        LOSS: (0, ["compare", "small", *MEASURE]),
    }
    kept = {name: (run_copy / name).read_bytes() for name in FILES}
    for name, (code, line) in lines.items():
        put(run_copy / name, kind)
        outcome = alone(*line)
        assert outcome.code == code, outcome.err
        assert outcome.peak < ordinary + MORE
        if code:
            assert name in refused(outcome, code)
        else:
            assert outcome.err == ""
        (run_copy / name).unlink()
        (run_copy / name).write_bytes(kept[name])
    for name in (CONFIG, LOSS):
        put(run_copy / name, kind)
    assert alone("train", "--name", "small", "--resume", "-q").code == 0
    assert {name: (run_copy / name).read_bytes() for name in FILES} == kept
    put(run_copy, kind)
    refused(alone("sample", "small"))
    refused(alone("train", "--name", "small", "--limit", "10"))


@pytest.mark.parametrize("kind", ["FIFO", "device"])
def test_data_and_pictures_that_are_no_files(alone, ordinary, small_mnist, tmp_path, kind):
    data = tmp_path / "data"
    for name, ending in (("t10k-images-idx3-ubyte", ""), ("t10k-labels-idx1-ubyte", ".gz"), ("t10k-images-idx3-ubyte", ".xz")):
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(small_mnist, data)
        (data / name).unlink()
        put(data / (name + ending), kind)
        outcome = alone("reconstruct", "small", "--data-dir", data)
        assert f"{name}{ending}: " in refused(outcome)
        assert outcome.peak < ordinary + MORE
    put(tmp_path / "picture.png", kind)
    for line in (["reconstruct", "small", "--image"], ["inpaint", "small", "--mask"]):
        outcome = alone(*line, tmp_path / "picture.png")
        assert "picture.png: " in refused(outcome)
        assert outcome.peak < ordinary + MORE


def test_a_config_that_somebody_keeps_open_and_never_ends(alone, run_copy):
    """As ``--config <(...)`` gives it."""
    text = (run_copy / CONFIG).read_bytes()
    put(run_copy / CONFIG, "FIFO")
    there = os.open(run_copy / CONFIG, os.O_RDWR)
    os.write(there, text)
    for line in (["train", "--config", run_copy / CONFIG, "--dry-run"],):
        assert "found a FIFO, not a regular file" in refused(alone(*line), 2)
    os.close(there)


def sparse_checkpoint(path, config, tensors, body, right_digest=True):
    """A checkpoint whose tensors are a hole of `body` bytes; `tensors` are its header's, the digest is that of zeros."""
    stated = {"format": 1, "config": config, "results": {"epoch": 1}}
    digest = _start_digest(stated)
    if right_digest:
        weights = skeleton(Config.from_json(config)).state_dict()
        zeros = bytes(1 << 20)
        for name in sorted(weights):
            digest.update(_heading(name, weights[name].dtype, weights[name].shape))
            left = 4 * weights[name].numel()
            while left:
                digest.update(zeros[: min(left, len(zeros))])
                left -= min(left, len(zeros))
    header = json.dumps({**tensors, "__metadata__": {"vaecli": json.dumps({**stated, "sha256": digest.hexdigest()})}}).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + body)


def layout(config):
    """The header's entries of a model's weights, and their bytes."""
    entries, end = {}, 0
    for name, each in skeleton(config).state_dict().items():
        start, end = end, end + 4 * each.numel()
        entries[name] = {"dtype": "F32", "shape": list(each.shape), "data_offsets": [start, end]}
    return entries, end


@pytest.mark.parametrize("gib", [1, 10])
@pytest.mark.parametrize("where", ["a weight", "another tensor", "the log"])
def test_sparse_checkpoints(alone, ordinary, run_copy, where, gib):
    config = Config(hidden=(2,), latent_dim=1, epochs=100_000)
    entries, end = layout(config)
    name = {"a weight": next(iter(entries)), "another tensor": "padding", "the log": "log"}[where]
    big = {"dtype": "U8" if where == "the log" else "F32", "shape": [(gib << 30) // (1 if where == "the log" else 4)]}
    if where == "the log":
        states = [
            {f"{kind}.{each}": dict(entry) for each, entry in entries.items()} for kind in ("weight", "exp_avg", "exp_avg_sq")
        ]
        for index, state in enumerate(states):
            for entry in state.values():
                entry["data_offsets"] = [index * end + at for at in entry["data_offsets"]]
        entries, end = {key: entry for state in states for key, entry in state.items()}, 3 * end
    entries[name] = big | {"data_offsets": [end, end + (gib << 30)]}
    sparse_checkpoint(run_copy / (TRAINING if where == "the log" else MODEL), config.to_json(), entries, end + (gib << 30))
    outcome = alone(*(["train", "--name", "small", "--resume"] if where == "the log" else ["sample", "small"]), "-q")
    assert repr(name) in refused(outcome)
    assert outcome.peak < ordinary + MORE


@pytest.mark.parametrize("right_digest", [True, False])
def test_a_sparse_checkpoint_of_just_the_size_that_its_settings_need(alone, ordinary, run_copy, right_digest):
    config = Config(hidden=(12_000,))
    entries, body = layout(config)
    sparse_checkpoint(run_copy / MODEL, config.to_json(), entries, body, right_digest)
    outcome = alone("sample", "small", "-q")
    assert "holes" in refused(outcome)
    assert outcome.peak < ordinary + MORE


def zeros(path, head, count):
    """Writes a file of a head and so many zero bytes, packed as its name says or with a hole."""
    match path.suffix:
        case ".gz":
            path.write_bytes(gzip.compress(head) + gzip.compress(bytes(count // 100), 1) * 100)
        case ".xz":
            path.write_bytes(lzma.compress(head + bytes(count), preset=0))
        case _:
            path.write_bytes(head)
            os.truncate(path, len(head) + count)


@pytest.mark.parametrize(
    ("ending", "shape", "body", "words"),
    [
        (".gz", (191, 4096, 4096), 191 << 24, "found images of 4096 x 4096 pixels"),
        ("", (191, 4096, 4096), 191 << 24, "found images of 4096 x 4096 pixels"),
        ("", (2_000_000, 28, 28), 2_000_000 * 784, "the header says 1,568,000,000 bytes, but the file takes"),
        (".gz", (400_000, 28, 28), 400_000 * 784, "the header says 313,600,000 bytes, but the file takes"),
        (".xz", (400_000, 28, 28), 1000, "the header says 313,600,000 bytes, but the file takes"),
        (".gz", (150_000, 28, 28), 400_000_000, "the file holds more"),
        (".xz", (150_000, 28, 28), 1000, "the file holds fewer"),
        ("", (150_001, 28, 28), 150_001 * 784, "150001 images but"),
    ],
)
def test_images_that_are_not_there(alone, ordinary, tmp_path, ending, shape, body, words):
    labels = 150_000 if shape[0] == 150_001 else shape[0]
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, labels) + bytes(labels))
    zeros(tmp_path / f"t10k-images-idx3-ubyte{ending}", struct.pack(">IIII", 0x803, *shape), body)
    outcome = alone("reconstruct", "small", "--data-dir", tmp_path, "-q")
    assert words in refused(outcome)
    assert outcome.peak < ordinary + MORE


@pytest.mark.parametrize(
    "text",
    ["\n" * 25_000_000, "1" * 25_000_000, ",".join(["epoch,loss,test_elbo,seconds", *["ab"] * 8_000_000]),
     "epoch,loss,test_elbo,seconds\n" + "1,1,1,1\n" * 3_000_000,
     "epoch,loss,test_elbo,seconds\n" + "".join(f"{epoch},1,1,1\n" for epoch in range(1, 100_001))],
    ids=["empty lines", "one line", "columns", "rows", "the longest"],
)  # fmt: skip
def test_a_log_of_25_megabytes_takes_little_more(alone, ordinary, run_copy, text):
    (run_copy / LOSS).write_text(text)
    outcome = alone("compare", "small", *MEASURE)
    assert outcome.code == 0
    assert outcome.peak < ordinary + MORE


def test_a_picture_of_too_many_bytes_is_not_read(alone, tmp_path):
    put(tmp_path / "picture.png", "holes")
    assert "found 10,737,418,240 bytes" in refused(alone("reconstruct", "small", "--image", tmp_path / "picture.png"))


def test_a_picture_of_the_most_pixels_takes_little_more(alone, ordinary, tmp_path):
    for mode, name in (("RGBA", "a.png"), ("I;16", "b.tiff"), ("RGB", "c.jpg")):
        Image.new(mode, (5000, 5000)).save(tmp_path / name)
        outcome = alone("reconstruct", "small", "--image", tmp_path / name, "-q")
        assert "blank" in refused(outcome)
        assert outcome.peak < ordinary + MORE


def test_a_picture_that_pillow_grumbles_about_is_one_line(alone, tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "picture.tiff")
    samples = struct.pack("<HHI", 277, 3, 1)
    data = (tmp_path / "picture.tiff").read_bytes()
    assert samples + b"\x03" in data
    (tmp_path / "picture.tiff").write_bytes(data.replace(samples + b"\x03", samples + b"\x2a"))
    for line in (["inpaint", "small", "--mask"], ["reconstruct", "small", "--image"]):
        assert "cannot be read as a picture" in refused(alone(*line, tmp_path / "picture.tiff", "-q"))
