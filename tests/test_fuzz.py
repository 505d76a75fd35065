"""Rubbish in: every reader ends in a valid value or in one VaecliError, whatever the bytes, and takes little memory for it."""

import gzip
import io
import json
import lzma
import os
import re
import struct
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save as save_tensors

from vaecli import registry
from vaecli.config import Config
from vaecli.data.idx import read_images, read_labels
from vaecli.data.picture import read_mask, read_picture
from vaecli.errors import CheckpointError, DataError, UsageError
from vaecli.model import build
from vaecli.provenance import DataRecord, Provenance
from vaecli.runs.find import MODEL, TRAINING, read_config
from vaecli.runs.folder import RunFolder
from vaecli.runs.format import pack
from vaecli.runs.run import read_run
from vaecli.runs.state import load_training, save_epoch
from vaecli.training.loop import make_optimizer

SCALE = int(os.environ.get("VAECLI_FUZZ", "1"))
"""How many times as many cases to try."""

MEMORY = 100e6
"""Bytes that reading a file of at most some hundred kilobytes may take for Python's objects."""

PROVENANCE = Provenance(DataRecord(64 * "0", 64 * "1", "/data"), "cpu", "fp32", 2, "2.15.0")

OUTCOMES: Counter[str] = Counter()


def cases(count):
    return settings(
        max_examples=count * SCALE, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


def attempt(read, path, data, kind):
    """Reads a file of these bytes, which may fail in one way only."""
    path.write_bytes(data)
    tracemalloc.start()
    try:
        read(path)
        OUTCOMES[f"{read.__name__}: valid"] += 1
    except kind as error:
        text = str(error)
        assert str(path.parent) in text or "--config" in text
        assert "\n" not in text
        reason = re.sub(r"(0x)?[0-9][0-9a-f,]*", "#", text.replace(str(path), "").split(":")[1])
        OUTCOMES[f"{read.__name__}:{reason[:40]}"] += 1
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


class Files(dict):
    def __repr__(self):  # hypothesis shows a test's arguments
        return f"files of {[len(each) for each in self.values()]} bytes"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The files of a very small run."""
    folder = tmp_path_factory.mktemp("small")
    config = Config(hidden=(2,), latent_dim=1)
    model = build(config)
    optimizer = make_optimizer(model, config)
    for each in model.parameters():
        each.grad = torch.ones_like(each)
    optimizer.step()
    rows = [{"epoch": 1, "loss": 2.5, "test_elbo": -2.5, "seconds": 1}]
    save_epoch(RunFolder(folder), model, optimizer, config, rows, {"epoch": 1}, PROVENANCE)
    return Files((name, (folder / name).read_bytes()) for name in (MODEL, TRAINING))


READERS = {MODEL: read_run, TRAINING: lambda path: load_training(path.parent)}
READERS[TRAINING].__name__ = "load_training"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_subnormal=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


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
        for in_header, where, bit in flips:  # one half of them in the header, which is a small part of the file
            damaged[where % (header if in_header else len(damaged))] ^= 1 << bit
        before = OUTCOMES[f"{READERS[name].__name__}: valid"]
        attempt(READERS[name], folder / name, bytes(damaged), CheckpointError)
        if damaged != run[name]:  # two flips may undo each other
            assert OUTCOMES[f"{READERS[name].__name__}: valid"] == before

    @cases(300)
    @given(about=JSON | st.dictionaries(st.sampled_from(["format", "config", "results", "sha256"]), JSON, max_size=4))
    def test_anything_said_of_the_tensors(self, folder, name, about):
        text = about if isinstance(about, str) else json.dumps(about)
        try:
            data = save_tensors({"a": torch.zeros(2)}, {"vaecli": text})
        except Exception:  # what safetensors itself will not write
            return
        attempt(READERS[name], folder / name, data, CheckpointError)

    @cases(200)
    @given(setting=st.sampled_from(list(Config().to_json())), value=JSON)
    def test_any_setting_with_a_digest_that_fits(self, folder, name, setting, value):
        config = Config(hidden=(2,), latent_dim=1).to_json() | {setting: value}
        model = build(Config(hidden=(2,), latent_dim=1))
        try:
            data = pack(dict(model.state_dict()), {"config": config, "results": {}})
        except Exception:
            return
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
            packed = pack(tensors, {"config": config.to_json(), "results": {}})
        except Exception:
            return
        attempt(READERS[name], folder / name, packed, CheckpointError)

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


IDX = {"images": (read_images, 0x803, (2, 28, 28)), "labels": (read_labels, 0x801, (2,))}


@pytest.mark.parametrize("setting", ["dataset", "objective", "k", "hidden"])
def test_a_setting_with_a_line_break_is_told_on_one_line(folder, setting):
    config = json.dumps(Config().to_json() | {setting: "a\nb\x1b[2J"})
    attempt(read_config, folder / "config.json", config.encode(), UsageError)


@pytest.mark.parametrize("what", IDX)
class TestIdx:
    @cases(150)
    @given(data=st.binary(max_size=200), ending=st.sampled_from(["", ".gz", ".xz"]))
    def test_random_bytes(self, folder, what, data, ending):
        attempt(IDX[what][0], folder / f"file{ending}", data, DataError)

    @cases(150)
    @given(sizes=st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=3), body=st.binary(max_size=100))
    def test_random_sizes(self, folder, what, sizes, body):
        read, magic, shape = IDX[what]
        attempt(read, folder / "file", struct.pack(f">I{len(shape)}I", magic, *sizes[: len(shape)]) + body, DataError)

    @cases(100)
    @given(data=st.data(), ending=st.sampled_from([".gz", ".xz"]))
    def test_flipped_bits_in_packed_files(self, folder, what, data, ending):
        read, magic, shape = IDX[what]
        plain = struct.pack(f">I{len(shape)}I", magic, *shape) + bytes(2 if len(shape) == 1 else 1568)
        packed = bytearray((gzip.compress if ending == ".gz" else lzma.compress)(plain))
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        attempt(read, folder / f"file{ending}", bytes(packed), DataError)

    @pytest.mark.parametrize("ending", [".gz", ".xz"])
    def test_a_bomb(self, folder, what, ending):
        """A file of some kilobytes that unpacks to 300 MB, more than its header says."""
        read, magic, shape = IDX[what]
        plain = struct.pack(f">I{len(shape)}I", magic, *shape) + bytes(300_000_000)
        packed = gzip.compress(plain, 1) if ending == ".gz" else lzma.compress(plain, preset=0)
        assert len(packed) < 2_000_000
        del plain
        attempt(read, folder / f"file{ending}", packed, DataError)

    def test_an_xz_that_wants_a_gigabyte_to_be_unpacked(self, folder, what):
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 27}]
        data = bytearray(lzma.compress(b"abc", filters=filters))
        attempt(IDX[what][0], folder / "file.xz", bytes(data), DataError)


@cases(200)
@given(data=st.binary(max_size=100) | JSON.map(lambda value: json.dumps(value).encode()))
def test_config_files(folder, data):
    attempt(read_config, folder / "config.json", data, UsageError)


@cases(200)
@given(setting=st.sampled_from(list(Config().to_json())), value=JSON)
def test_config_files_with_any_value(folder, setting, value):
    attempt(read_config, folder / "config.json", json.dumps(Config().to_json() | {setting: value}).encode(), UsageError)


def picture(path: Path):
    return read_picture(path, registry.load("dataset", "mnist"))


def drawn(kind="PNG", size=(40, 30)):
    page = Image.new("L", size, 255)
    page.paste(0, (10, 10, 20, 25))
    file = io.BytesIO()
    page.save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("read", [picture, read_mask])
class TestPictures:
    @cases(100)
    @given(data=st.binary(max_size=300))
    def test_random_bytes(self, folder, read, data):
        attempt(read, folder / "picture.png", data, DataError)

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM", "WEBP"])
    @cases(40)
    @given(where=st.integers(0, 2**32), bit=st.integers(0, 7), cut=st.booleans())
    def test_flipped_bits_and_cuts(self, folder, read, kind, where, bit, cut):
        whole = bytearray(drawn(kind))
        where %= len(whole)
        whole[where] ^= 1 << bit
        attempt(read, folder / "picture", bytes(whole[:where] if cut else whole), DataError)

    def test_a_bomb(self, folder, read):
        with Image.new("1", (60_000, 60_000)) as page:
            file = io.BytesIO()
            page.save(file, "PNG")
        assert len(file.getvalue()) < 1_000_000
        attempt(read, folder / "picture.png", file.getvalue(), DataError)

    def test_a_file_that_another_program_would_have_to_read(self, folder, read):
        data = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(/tmp/x) run\n%%EOF\n"
        attempt(read, folder / "picture.eps", data, DataError)


def test_what_was_tried():
    """Prints what came of it all, with ``pytest -s``; at least 2000 cases are of checkpoints."""
    for outcome, count in sorted(OUTCOMES.items()):
        print(f"{count:6} {outcome}")
    tried = sum(count for outcome, count in OUTCOMES.items() if outcome.startswith(("read_run", "load_training")))
    print(f"{sum(OUTCOMES.values()):6} in all, {tried} of checkpoints")
    if tried:  # else this test was run alone
        assert tried >= 2000
