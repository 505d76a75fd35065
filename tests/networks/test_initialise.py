"""The weights and buffers that layers start with."""

import math

import pytest
import torch
from torch import nn

from tests.networks import toy
from vaecli import registry
from vaecli.analysis.architecture import architecture as layers_of
from vaecli.config import Config
from vaecli.image_shape import ImageShape
from vaecli.model import build
from vaecli.networks.initialise import glorot
from vaecli.networks.layers import Decoder, LabelledLinear
from vaecli.processes import Processes
from vaecli.runs.train import train
from vaecli.seeding import generator, seed_of
from vaecli.training.loop import fit, make_optimizer


class _Own(nn.Module):
    """Parameters and buffers without a layer, one of them not in the checkpoint."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.full((3,), 0.5))
        self.register_buffer("order", torch.arange(3))
        self.register_buffer("table", torch.linspace(0, 1, 5), persistent=False)


LAYERS = {
    "Linear": lambda: nn.Linear(6, 4),
    "LabelledLinear": lambda: LabelledLinear(6, 2, 4),
    "Bilinear": lambda: nn.Bilinear(3, 4, 5),
    "Conv1d": lambda: nn.Conv1d(2, 4, 3),
    "Conv2d": lambda: nn.Conv2d(2, 4, 3),
    "Conv2d in groups": lambda: nn.Conv2d(4, 8, 3, groups=2, bias=False),
    "Conv3d": lambda: nn.Conv3d(2, 4, 3),
    "ConvTranspose1d": lambda: nn.ConvTranspose1d(4, 2, 3),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(4, 2, 3),
    "ConvTranspose3d": lambda: nn.ConvTranspose3d(4, 2, 3),
    "LayerNorm": lambda: nn.LayerNorm(6),
    "GroupNorm": lambda: nn.GroupNorm(2, 6),
    "RMSNorm": lambda: nn.RMSNorm(6),
    "BatchNorm1d": lambda: nn.BatchNorm1d(6),
    "BatchNorm2d": lambda: nn.BatchNorm2d(6),
    "BatchNorm3d": lambda: nn.BatchNorm3d(6),
    "InstanceNorm2d": lambda: nn.InstanceNorm2d(6, affine=True, track_running_stats=True),
    "PReLU": lambda: nn.PReLU(3),
    "Embedding": lambda: nn.Embedding(5, 3, padding_idx=0),
    "EmbeddingBag": lambda: nn.EmbeddingBag(5, 3),
    "GRU": lambda: nn.GRU(3, 4),
    "LSTM": lambda: nn.LSTM(3, 4, proj_size=2),
    "MultiheadAttention": lambda: nn.MultiheadAttention(4, 2),
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(4, 2, 8),
    "its own": _Own,
}  # fmt: skip


@pytest.fixture
def architecture(monkeypatch):
    """Registers an architecture as ``toy``, for as long as a test lasts."""

    def register(made):
        monkeypatch.setattr(toy, "Toy", made)
        monkeypatch.setitem(registry.REGISTRY["arch"], "toy", registry.Member("tests.networks.toy:Toy", "of a test"))

    return register


def tensors_of(module):
    return dict([*module.named_parameters(), *module.named_buffers()])


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_starts_as_it_makes_itself(layer, architecture):
    class Arch:
        def encoder(self, shape, labels, outputs):
            return LAYERS[layer]()

        def decoder(self, shape, latent_dim, labels, outputs):
            decoder = Decoder()
            decoder.output = nn.Linear(1, 1)
            return decoder

    architecture(Arch)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    made = tensors_of(build(Config(arch="toy", seed=3)).encoder)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(seed_of("weights", 3))
    expected = LAYERS[layer]()
    assert made.keys() == tensors_of(expected).keys() != set()
    for name, tensor in tensors_of(expected).items():
        assert made[name].dtype == tensor.dtype and torch.equal(made[name], tensor), name
    if hasattr(expected, "reset_parameters"):
        torch.manual_seed(seed_of("weights", 3))
        expected.reset_parameters()
        for name, tensor in tensors_of(expected).items():
            assert torch.equal(made[name], tensor), name


def test_the_mlp_starts_as_in_every_release():
    """Uniform within 1 / sqrt(inputs), weights then biases, layer by layer, from one generator: checkpoints depend on it."""
    model, noise = build(Config(latent_dim=3, hidden=(50, 20), seed=7)), generator("cpu", "weights", 7)
    for layer in (module for network in (model.encoder, model.decoder) for module in network.modules()):
        if isinstance(layer, nn.Linear):
            bound = 1 / math.sqrt(layer.in_features)
            for tensor in (layer.weight, layer.bias):
                assert torch.equal(tensor, torch.empty_like(tensor).uniform_(-bound, bound, generator=noise))


@pytest.mark.parametrize(
    "make", [nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d]
)
def test_glorot_fills_every_dense_layer_and_convolution(make):
    layer = make(30, 20) if make is nn.Linear else make(30, 20, 3)
    network = nn.Sequential(layer, nn.BatchNorm1d(20))
    before = layer.weight.clone()
    glorot(network, generator("cpu", 1))
    bound = math.sqrt(6 / (50 * layer.weight[0, 0].numel()))
    assert not torch.equal(layer.weight, before)
    assert 0.95 * bound < layer.weight.abs().max() <= bound
    assert not layer.bias.any()
    assert network[1].weight.eq(1).all()


@pytest.mark.parametrize("init", ["torch", "glorot"])
@pytest.mark.parametrize("likelihood", registry.names("likelihood"))
def test_an_architecture_with_norms_trains_and_is_loaded_again(init, likelihood, architecture, small_mnist, tmp_path):
    architecture(toy.Normed)
    config = Config(arch="toy", likelihood=likelihood, init=init, init_bias="data", epochs=3, limit=300, batch_size=50)
    run = train(config, tmp_path / "toy", data_dir=small_mnist)
    state = run.model.state_dict()
    counts = {name: tensor for name, tensor in state.items() if name.endswith("num_batches_tracked")}
    assert {tensor.dtype for tensor in counts.values()} == {torch.int64}
    assert [int(tensor) for tensor in counts.values()] == [18, 18]
    losses = [row["loss"] for row in run.log]
    assert losses[0] > losses[1] > losses[2]
    assert all(tensor.isfinite().all() for tensor in state.values())


def test_training_with_norms_goes_on_to_the_bit(architecture, small_mnist, tmp_path):
    architecture(toy.Normed)
    settings = {"arch": "toy", "limit": 300, "batch_size": 50}
    whole = train(Config(**settings, epochs=3), tmp_path / "whole", data_dir=small_mnist)
    train(Config(**settings, epochs=1), tmp_path / "part", data_dir=small_mnist)
    part = train(Config(**settings, epochs=3), tmp_path / "part", data_dir=small_mnist, resume=True)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(part.model.state_dict()[name], tensor), name


def test_processes_share_the_buffers_that_are_kept(architecture, digits, monkeypatch):
    """Each has the statistics of its own images only; all are measured, and one is saved."""
    architecture(toy.Normed)
    followed = []
    monkeypatch.setattr(Processes, "broadcast", lambda self, tensors: followed.extend(tensors))
    config = Config(arch="toy", epochs=1)
    model = build(config)
    list(fit(model, make_optimizer(model, config), digits[:100], config))
    for name, buffer in model.named_buffers():
        assert sum(tensor is buffer for tensor in followed) == (2 if name in model.state_dict() else 0), name


def test_its_layers_are_listed(architecture):
    architecture(toy.Normed)
    kinds = [layer.kind for layer in layers_of(Config(arch="toy")).layers]
    assert kinds == ["Linear", "BatchNorm1d", "LayerNorm", "Linear", "Linear", "LayerNorm", "BatchNorm1d", "Linear"]


def test_the_image_shape_is_the_architectures(architecture):
    assert toy.Normed().encoder(ImageShape(1, 4, 4), 0, 6)(torch.zeros(2, 16)).shape == (2, 6)
