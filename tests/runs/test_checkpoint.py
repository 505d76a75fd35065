import json
import struct
import tracemalloc

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

from vaecli.config import Config
from vaecli.errors import CheckpointError
from vaecli.files import write_file
from vaecli.model import build
from vaecli.reading import holds
from vaecli.runs.find import CONFIG, LOSS, MODEL, TRAINING, read_config
from vaecli.runs.format import pack
from vaecli.runs.run import read_run


def header_of(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def with_header(path, header, tensors):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + tensors)


def rewritten(path, change):
    """The checkpoint with what vaecli says of it changed, and the digest left as it was."""
    header, tensors = header_of(path)
    about = json.loads(header["__metadata__"]["vaecli"])
    change(about)
    header["__metadata__"]["vaecli"] = json.dumps(about)
    with_header(path, header, tensors)


def test_a_run_holds_what_it_should(trained):
    assert sorted(file.name for file in trained.iterdir()) == sorted([MODEL, TRAINING, CONFIG, LOSS])
    with safe_open(trained / MODEL, "pt") as file:
        about = json.loads(file.metadata()["vaecli"])
    assert Config.from_json(about["config"]) == Config(epochs=2) == Config(**read_config(trained / CONFIG)[0])
    assert set(about) == {"format", "config", "results", "class_names", "provenance", "warnings", "sha256"}
    rows = (trained / LOSS).read_text().splitlines()
    assert rows[0] == "epoch,loss,elbo,reconstruction,kl,test_elbo,seconds,images_per_second"
    assert len(rows) == 3
    assert float(rows[2].split(",")[5]) == about["results"]["test_elbo"]
    moments = load_file(trained / TRAINING)
    assert all(f"{kind}.{name}" in moments for name in load_file(trained / MODEL) for kind in ("exp_avg", "exp_avg_sq"))


def test_round_trip_is_exact(tmp_path):
    config = Config(hidden=(30, 20), latent_dim=5)
    model = build(config)
    about = {"config": config.to_json(), "results": {"elbo": -1.5}, "class_names": ["a", "b c", "\n"]}
    write_file(tmp_path / MODEL, pack(model.state_dict(), about))
    back = read_run(tmp_path)
    assert back.config == config
    assert back.results == {"elbo": -1.5}
    assert back.class_names == ("a", "b c", "\n")
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.model.state_dict()[name], tensor)
    z = torch.randn(3, 5)
    assert torch.equal(back.model.likelihood(z).mean, model.likelihood(z).mean)


def test_the_bytes_are_those_that_safetensors_writes(tmp_path):
    tensors = {
        "b": torch.randn(3, 5), "a": torch.randn(()), "counts": torch.arange(4), "on": torch.tensor([True, False, True]),
        "text": torch.tensor([1, 2, 3], dtype=torch.uint8), "none": torch.zeros(0, 7), "\u00e9": torch.randn(7, 3).T,
    }  # fmt: skip
    write_file(tmp_path / MODEL, pack(tensors, {"words": 'a "quoted" \u00e9\n'}))
    with safe_open(tmp_path / MODEL, "pt") as file:
        metadata = file.metadata()
    assert (tmp_path / MODEL).read_bytes() == save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
    for name, tensor in load_file(tmp_path / MODEL).items():
        assert torch.equal(tensor, tensors[name])


def test_writing_and_comparing_copy_no_tensors(tmp_path):
    tensors = {str(number): torch.randn(1_000_000) for number in range(5)}
    tracemalloc.start()
    try:
        write_file(tmp_path / MODEL, pack(tensors, {}))
        assert holds(tmp_path / MODEL, pack(tensors, {}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3e6, "of 20 MB; blocks of 1 MB"
    tensors["3"][-1] += 1
    assert not holds(tmp_path / MODEL, pack(tensors, {}))


@pytest.mark.parametrize("data", [b"whole", b"wholes", b"whol", b"Whole", b""])
def test_a_file_holds_parts_or_not(tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    assert holds(tmp_path / "file", [b"wh", memoryview(b"ole")]) == (data == b"whole")
    assert not holds(tmp_path / "none", [data])


@pytest.mark.parametrize(
    "names", [None, "abc", [1], ["a" * 256], ["a"] * 10_001, {"a": 1}], ids=["none", "text", "number", "long", "many", "object"]
)
def test_names_of_labels_are_checked(tmp_path, names):
    config = Config(hidden=(3,))
    about = {"config": config.to_json(), "results": {}, **({} if names is None else {"class_names": names})}
    write_file(tmp_path / MODEL, pack(build(config).state_dict(), about))
    with pytest.raises(CheckpointError, match="its names of labels are not valid"):
        read_run(tmp_path)


def test_a_checkpoint_of_format_1_is_of_a_data_set_with_names_of_its_own(tmp_path):
    config = Config(dataset="folder", image_size=8, hidden=(3,))
    data = b"".join(pack(build(config).state_dict(), {"config": config.to_json(), "results": {}, "format": 1}))
    write_file(tmp_path / MODEL, data)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: its names of labels are not valid"):
        read_run(tmp_path)


def damage(path, kind):
    header, tensors = header_of(path)
    data = path.read_bytes()
    first = next(name for name in header if name != "__metadata__")
    match kind:
        case "cut in half":
            path.write_bytes(data[: len(data) // 2])
        case "empty":
            path.write_bytes(b"")
        case "longer":
            path.write_bytes(data + b"\0")
        case "garbled header":
            path.write_bytes(data[:8] + b"\xff" * 50 + data[58:])
        case "header of 2^60 bytes":
            path.write_bytes(struct.pack("<Q", 2**60) + data[8:])
        case "deeply nested header":
            path.write_bytes(struct.pack("<Q", 200_000) + b"[" * 200_000 + data)
        case "renamed tensor":
            header["other"] = header.pop(first)
            with_header(path, header, tensors)
        case "renamed tensor with a new digest":
            weights = load_file(path)
            weights["other"] = weights.pop(first)
            about = json.loads(header["__metadata__"]["vaecli"])
            path.write_bytes(b"".join(pack(weights, {"config": about["config"], "results": {}, "class_names": list("0123456789")})))
        case "tensor of another shape":
            weights = load_file(path)
            weights[first] = weights[first].flatten()[:-1]
            about = json.loads(header["__metadata__"]["vaecli"])
            weights["padding"] = torch.zeros(10)
            path.write_bytes(b"".join(pack(weights, {"config": about["config"], "results": {}, "class_names": list("0123456789")})))
        case "nan weights":
            weights = load_file(path)
            weights[first][0] = torch.nan
            about = json.loads(header["__metadata__"]["vaecli"])
            path.write_bytes(b"".join(pack(weights, {"config": about["config"], "results": {}, "class_names": list("0123456789")})))
        case "flipped bit":
            path.write_bytes(data[:-1000] + bytes([data[-1000] ^ 1]) + data[-999:])
        case "latent_dim of 10^9":
            rewritten(path, lambda about: about["config"].update(latent_dim=10**9))
        case "larger network than the file":
            rewritten(path, lambda about: about["config"].update(hidden=[16384] * 16, latent_dim=4096))
        case "more convolutions than halvings":
            rewritten(path, lambda about: about["config"].update(arch="conv", channels=[8] * 9))
        case "another result":
            rewritten(path, lambda about: about["results"].update(test_elbo=0.0))
        case "newer format":
            rewritten(path, lambda about: about.update(format=99))
        case "no vaecli":
            save_file(load_file(path), path)


DAMAGES = {
    "cut in half": "cut short",
    "empty": "cut short",
    "longer": "does not fit its length",
    "garbled header": "does not fit its length",
    "header of 2^60 bytes": "no safetensors header",
    "deeply nested header": "does not fit its length",
    "renamed tensor": "tensor",
    "renamed tensor with a new digest": "tensor",
    "tensor of another shape": "unexpected tensor 'padding'",
    "nan weights": "no finite numbers",
    "flipped bit": "digest",
    "latent_dim of 10^9": "settings are not valid: latent_dim=1000000000",
    "larger network than the file": "settings need [0-9,]+ bytes",
    "more convolutions than halvings": "settings are not valid: channels=8,8,8,8,8,8,8,8,8: each of these 9 convolutions",
    "another result": "digest",
    "newer format": "found format 99, expected 1 to 4: upgrade vaecli",
    "no vaecli": "none that vaecli wrote",
}


@pytest.mark.parametrize(("kind", "words"), DAMAGES.items())
def test_a_damaged_checkpoint_is_refused_before_memory_is_taken(run_copy, kind, words):
    damage(run_copy / MODEL, kind)
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=words) as caught:
        read_run(run_copy)
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()
    assert str(run_copy / MODEL) in str(caught.value)
    assert "\n" not in str(caught.value)
