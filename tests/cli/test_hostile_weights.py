"""Runs whose weights are finite, but huge: one line, whatever is asked of them."""

import shlex

import pytest
import torch

from tests.helpers import refused
from vaecli.config import Config
from vaecli.model import build
from vaecli.runs.format import pack
from vaecli.runs.run import read_run
from vaecli.runs.state import load_training

COMMANDS = [
    "sample small --n 2 --out a.png",
    "sample small --between 0 1 --n 3 --out a.png",
    "reconstruct small --n 2 --out a.png",
    "encode small --n 5 --out a.csv",
    "score small --limit 2 --by L_1",
    "latent-plot small --n 50 --out a.png",
    "latent-plot small --n 50 --variance --out a.png",
    "latent-plot small --n 50 --thumbnails --out a.png",
    "latent-plot small --manifold --out a.png",
    "explore small --n 20 --out a.html",
    "inpaint small --n 1 --out a.png",
    "compare small --table-only --limit 20 --k 1,5",
    "compare small --table-only --limit 20 --k 0 --exact",
    "compare small --limit 20 --k 1 --out a",
]


def write(folder, weights, config, class_names):
    about = {"config": config.to_json(), "results": {"epoch": 1, "test_elbo": -1.0}, "class_names": list(class_names)}
    (folder / "model.safetensors").write_bytes(b"".join(pack(weights, about)))


@pytest.mark.parametrize("factor", [1e8, 1e20, 1e36])
@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_weights_that_no_training_gives_are_refused_when_a_run_is_loaded(run_copy, part, factor):
    run = read_run(run_copy)
    weights = {name: value * factor if part in name else value for name, value in run.model.state_dict().items()}
    write(run_copy, weights, run.config, run.class_names)
    with pytest.raises(Exception, match=rf"tensor '{part}\..*' holds .*, expected weights of at most 65,504") as caught:
        read_run(run_copy)
    assert caught.typename == "CheckpointError"


@pytest.mark.parametrize("command", [*COMMANDS, "train --name small --epochs 3 --resume"])
def test_a_command_says_so_in_one_line(vaecli, run_copy, small_mnist, command):
    run, state = read_run(run_copy), load_training(run_copy)
    huge = {name: value * 1e30 for name, value in run.model.state_dict().items()}
    write(run_copy, huge, run.config, run.class_names)
    about = {"config": run.config.to_json(), "results": state.results, "class_names": list(run.class_names)}
    about["provenance"] = run.provenance.to_json()
    log = (run_copy / "loss.csv").read_bytes()
    tensors = {f"weight.{name}": value for name, value in huge.items()} | state.moments
    tensors["log"] = torch.frombuffer(bytearray(log), dtype=torch.uint8)
    (run_copy / "training.safetensors").write_bytes(b"".join(pack(tensors, about)))
    words = shlex.split(command)
    data = [] if "--manifold" in words or ("sample" in words and "--between" not in words) else ["--data-dir", small_mnist]
    line = refused(vaecli(*words, *data))
    assert "expected weights of at most 65,504; train the run again, such as with a smaller --lr" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_networks_whose_values_grow_from_layer_to_layer_are_refused_too(vaecli, run_copy, small_mnist, command):
    """Convolutions with a weight of 60,000 each, as a file may have them."""
    config = Config(arch="conv")
    weights = {name: torch.full_like(value, 6e4) for name, value in build(config).state_dict().items()}
    write(run_copy, weights, config, tuple("0123456789"))
    words = shlex.split(command)
    data = [] if "--manifold" in words or ("sample" in words and "--between" not in words) else ["--data-dir", small_mnist]
    line = refused(vaecli(*words, *data))
    assert "the networks of the model give values that are no numbers or too large to compute with" in line
