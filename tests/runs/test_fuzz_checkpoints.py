"""Rubbish in a checkpoint: both readers end in a valid value or in one error, whatever the bytes, and take little memory for it."""

import json
import struct

import pytest
import torch
from hypothesis import given, reject
from hypothesis import strategies as st
from safetensors.torch import save as save_tensors

from tests.fuzz import JSON, attempt, cases
from vaecli.config import Config
from vaecli.errors import CheckpointError
from vaecli.model import build
from vaecli.provenance import DataRecord, Provenance
from vaecli.runs import format
from vaecli.runs.find import MODEL, TRAINING
from vaecli.runs.folder import RunFolder
from vaecli.runs.run import read_run
from vaecli.runs.state import load_training, save_epoch
from vaecli.training.loop import make_optimizer

PROVENANCE = Provenance(DataRecord(64 * "0", 64 * "1", "/data"), "cpu", "fp32", 2, "2.15.0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


class Files(dict):
    def __repr__(self):  # hypothesis shows a test's arguments
        return f"files of {[len(data) for data in self.values()]} bytes"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The files of a very small run."""
    folder = tmp_path_factory.mktemp("small")
    config = Config(hidden=(2,), latent_dim=1)
    model = build(config)
    optimizer = make_optimizer(model, config)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    rows = [{"epoch": 1, "loss": 2.5, "test_elbo": -2.5, "seconds": 1}]
    save_epoch(RunFolder(folder), model, optimizer, config, rows, {"epoch": 1}, PROVENANCE, ("a", "b"))
    return Files((name, (folder / name).read_bytes()) for name in (MODEL, TRAINING))


def packed(tensors, about):
    """A file of any tensors that safetensors can write, with a digest that fits."""
    about = {"format": format.FORMAT, **about}
    digest = format.start_digest(about)
    format._add(digest, tensors)
    return save_tensors(tensors, {"vaecli": json.dumps({**about, "sha256": digest.hexdigest()}, sort_keys=True)})


READERS = {MODEL: read_run, TRAINING: lambda path: load_training(path.parent)}


@pytest.mark.parametrize("name", READERS)
class TestCheckpoints:
    @cases(300)
    @given(data=st.binary(max_size=2000))
    def test_random_bytes(self, folder, name, data):
        attempt(READERS[name], folder / name, data, CheckpointError)

    @cases(200)
    @given(data=st.data())
    def test_cut_short_or_grown(self, folder, run, name, data):
        whole = run[name]
        end = data.draw(st.integers(0, len(whole) - 1))
        attempt(READERS[name], folder / name, whole[:end] + data.draw(st.binary(max_size=50)), CheckpointError)

    @cases(400)
    @given(flips=st.lists(st.tuples(st.booleans(), st.integers(0, 2**32), st.integers(0, 7)), min_size=1, max_size=3, unique=True))
    def test_flipped_bits(self, folder, run, name, flips):
        damaged = bytearray(run[name])
        header = struct.unpack("<Q", damaged[:8])[0] + 8
        for in_header, place, bit in flips:  # one half of them in the header, which is a small part of the file
            damaged[place % (header if in_header else len(damaged))] ^= 1 << bit
        valid = attempt(READERS[name], folder / name, bytes(damaged), CheckpointError)
        assert valid == (damaged == run[name])  # two flips may undo each other

    @cases(300)
    @given(about=JSON | st.dictionaries(st.sampled_from(["format", "config", "results", "sha256"]), JSON, max_size=4))
    def test_any_metadata(self, folder, name, about):
        text = about if isinstance(about, str) else json.dumps(about)
        try:
            data = save_tensors({"a": torch.zeros(2)}, {"vaecli": text})
        except Exception:  # what safetensors itself will not write
            reject()
        attempt(READERS[name], folder / name, data, CheckpointError)

    @cases(200)
    @given(setting=st.sampled_from(list(Config().to_json())), value=JSON)
    def test_any_setting_with_a_digest_that_fits(self, folder, name, setting, value):
        config = Config(hidden=(2,), latent_dim=1).to_json() | {setting: value}
        model = build(Config(hidden=(2,), latent_dim=1))
        try:
            data = packed(dict(model.state_dict()), {"config": config, "results": {}})
        except Exception:
            reject()
        attempt(READERS[name], folder / name, data, CheckpointError)

    @cases(200)
    @given(data=st.data())
    def test_tensors_of_other_types_shapes_and_values_with_a_digest_that_fits(self, folder, name, data):
        config = Config(hidden=(2,), latent_dim=1)
        tensors = dict(build(config).state_dict())
        victim = data.draw(st.sampled_from(sorted(tensors)))
        match data.draw(st.sampled_from(["dtype", "shape", "value", "gone", "more"])):
            case "dtype":
                kinds = [torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.bool, torch.complex64]
                tensors[victim] = tensors[victim].to(data.draw(st.sampled_from(kinds)))
            case "shape":
                tensors[victim] = torch.zeros(data.draw(st.lists(st.integers(0, 5), max_size=4)))
            case "value":
                tensors[victim] = torch.full_like(tensors[victim], data.draw(st.sampled_from([float("nan"), float("inf")])))
            case "gone":
                del tensors[victim]
            case _:
                tensors[data.draw(st.text(max_size=10))] = torch.zeros(1)
        try:
            data = packed(tensors, {"config": config.to_json(), "results": {}})
        except Exception:
            reject()
        attempt(READERS[name], folder / name, data, CheckpointError)

    @pytest.mark.parametrize("depth", [100, 100_000, 900_000])
    def test_deep_nesting(self, folder, name, depth):
        for text in (b"[" * depth, b'{"a":' * (depth // 5), b'{"__metadata__":{"vaecli":"' + b"[" * depth + b'"}}'):
            attempt(READERS[name], folder / name, struct.pack("<Q", len(text)) + text, CheckpointError)

    @pytest.mark.parametrize("text", [b'{"__metadata__":{"vaecli":"\xff\xfe"}}', b"\xff\xfe{}", b"{}", b"null", b'{"a":1}', b"[1]"])
    def test_headers_that_are_no_text_or_no_header(self, folder, name, text):
        attempt(READERS[name], folder / name, struct.pack("<Q", len(text)) + text, CheckpointError)

    def test_a_header_that_promises_terabytes(self, folder, name):
        entry = {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}, "__metadata__": {"vaecli": "{}"}}
        text = json.dumps(entry).encode()
        attempt(READERS[name], folder / name, struct.pack("<Q", len(text)) + text, CheckpointError)
