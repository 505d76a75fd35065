"""Runs whose files are hostile: each costs one line, little memory and no wait."""

import json
import os
import struct
import sys

import pytest

from tests.helpers import MORE, put, refused
from vaecli.config import Config
from vaecli.model import skeleton
from vaecli.runs.find import CONFIG, FILES, LOSS, MODEL, TRAINING
from vaecli.runs.header import heading, start_digest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux reports it")

MEASURE = ["--limit", "5", "--k", "0", "--table-only", "-q"]


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


def test_a_config_that_somebody_keeps_open_and_never_ends(alone, run_copy):
    """As ``--config <(...)`` gives it."""
    text = (run_copy / CONFIG).read_bytes()
    put(run_copy / CONFIG, "FIFO")
    there = os.open(run_copy / CONFIG, os.O_RDWR)
    os.write(there, text)
    assert "found a FIFO, not a regular file" in refused(alone("train", "--config", run_copy / CONFIG, "--dry-run"), 2)
    os.close(there)


def sparse_checkpoint(path, config, tensors, body, right_digest=True):
    """A checkpoint whose tensors are a hole of `body` bytes; `tensors` are its header's, the digest is that of zeros."""
    stated = {"format": 1, "config": config, "results": {"epoch": 1}}
    digest = start_digest(stated)
    if right_digest:
        weights = skeleton(Config.from_json(config)).state_dict()
        zeros = bytes(1 << 20)
        for name in sorted(weights):
            digest.update(heading(name, str(weights[name].dtype).removeprefix("torch."), weights[name].shape))
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
    for name, weight in skeleton(config).state_dict().items():
        start, end = end, end + 4 * weight.numel()
        entries[name] = {"dtype": "F32", "shape": list(weight.shape), "data_offsets": [start, end]}
    return entries, end


@pytest.mark.parametrize("gib", [1, 10])
@pytest.mark.parametrize("place", ["a weight", "another tensor", "the log"])
def test_sparse_checkpoints(alone, ordinary, run_copy, place, gib):
    config = Config(hidden=(2,), latent_dim=1, epochs=100_000)
    entries, end = layout(config)
    name = {"a weight": next(iter(entries)), "another tensor": "padding", "the log": "log"}[place]
    big = {"dtype": "U8" if place == "the log" else "F32", "shape": [(gib << 30) // (1 if place == "the log" else 4)]}
    if place == "the log":
        states = [{f"{kind}.{key}": dict(entry) for key, entry in entries.items()} for kind in ("weight", "exp_avg", "exp_avg_sq")]
        for index, state in enumerate(states):
            for entry in state.values():
                entry["data_offsets"] = [index * end + at for at in entry["data_offsets"]]
        entries, end = {key: entry for state in states for key, entry in state.items()}, 3 * end
    entries[name] = big | {"data_offsets": [end, end + (gib << 30)]}
    sparse_checkpoint(run_copy / (TRAINING if place == "the log" else MODEL), config.to_json(), entries, end + (gib << 30))
    outcome = alone(*(["train", "--name", "small", "--resume"] if place == "the log" else ["sample", "small"]), "-q")
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
