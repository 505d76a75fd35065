"""A person's own networks in a model."""

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

import vaecli
from vaecli.data import Source
from vaecli.data.images import Images
from vaecli.model import build
from vaecli.networks.given import GivenNetworks
from vaecli.networks.mlp import MLP
from vaecli.runs.objects import with_objects
from vaecli.studies.plan import Plan

pytestmark = pytest.mark.usefixtures("own_members")

KEPT = "The decoder has no last layer called output whose bias can be set, so it begins with the biases that it has"


def networks(outputs=1, labels=0):
    encoder = nn.Sequential(nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 4, 4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(196, 4))
    decoder = nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, outputs * 784), nn.Unflatten(1, (outputs, 28, 28)))
    return {"encoder": encoder, "decoder": decoder}


def model_of(config, folder, **objects):
    return build(with_objects(config, folder, objects))


def test_a_model_has_copies_with_the_weights_that_they_have(tmp_path):
    given = networks()
    model = model_of(vaecli.Config(), tmp_path, **given)
    x, z = torch.rand(3, 784).round(), torch.randn(5, 3, 2)
    torch.testing.assert_close(model.features(x), given["encoder"](x))
    torch.testing.assert_close(model.likelihood(z).output, given["decoder"](z.flatten(0, 1)).view(5, 3, 1, 784))
    model.encoder.network[4].weight.data.zero_()
    assert float(given["encoder"][4].weight.detach().abs().max()) > 0


class Labelled(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.output = nn.Linear(inputs + 10, outputs)

    def forward(self, x, y):
        return self.output(torch.cat((x, y), -1))


def test_labels_are_a_second_argument_shared_by_the_particles(tmp_path):
    decoder = Labelled(2, 784)
    model = model_of(vaecli.Config(labels="full"), tmp_path, encoder=Labelled(784, 4), decoder=decoder)
    y, z = torch.eye(10)[:3], torch.randn(5, 3, 2)
    expected = torch.stack([decoder(particles, y) for particles in z])
    torch.testing.assert_close(model.likelihood(z, y).output.squeeze(-2), expected)
    torch.testing.assert_close(model.likelihood(z).output.squeeze(-2), torch.stack([decoder(one, 0 * y) for one in z]))


BOTH = {"encoder": nn.Linear(784, 4), "decoder": nn.Linear(2, 784)}


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({"encoder": nn.Linear(784, 5)}, r"encoder: found it without decoder, expected both; arch takes an object that makes both"),
        ({"decoder": nn.Linear(2, 784)}, r"decoder: found it without encoder, expected both"),
        (BOTH | {"encoder": nn.Linear(784, 5)}, r"encoder for 2 images of .*: found shape \(2, 5\), expected shape \(2, 4\)"),
        (BOTH | {"decoder": nn.Linear(2, 783)}, r"decoder for .*: found shape \(2, 1, 783\), expected shape \(2, 1, 784\)"),
        (BOTH | {"encoder": len}, "expected a torch.nn.Module"),
        (BOTH | {"arch": GivenNetworks(nn.Linear(1, 1), nn.Linear(1, 1))}, "expected the one or the others"),
        ({"arch": nn.Linear(2, 2)}, "expected an object with the methods `encoder` and `decoder`"),
        ({"objective": lambda model, x, y, eps: None}, "expected an object with `draws`"),
    ],
)  # fmt: skip
def test_what_is_no_network_or_gives_another_shape_is_refused_in_one_line(tmp_path, objects, words):
    with pytest.raises(vaecli.VaecliError, match=words):
        model_of(vaecli.Config(), tmp_path, **objects)


def test_the_last_layer_of_a_sequence_starts_as_the_settings_say(tmp_path):
    bright = Images(torch.full((4, 784), 255, dtype=torch.uint8), torch.full((4,), -1), ())
    config = with_objects(vaecli.Config(), tmp_path, networks())
    assert float(build(config, bright).likelihood(torch.zeros(1, 2)).mean.detach().min()) > 0.9
    config = with_objects(vaecli.Config(likelihood="beta"), tmp_path, networks(outputs=2))
    torch.testing.assert_close(build(config).likelihood(torch.randn(3, 2)).mean, torch.full((3, 784), 0.5))
    no_layer = nn.Sequential(nn.Linear(2, 784), nn.Sigmoid())
    config = with_objects(vaecli.Config(), tmp_path, networks() | {"decoder": no_layer})
    assert torch.equal(build(config, bright).decoder.network[0].bias, no_layer[0].bias)


def test_objects_of_registered_classes_are_named_and_others_have_the_name_of_their_class(tmp_path):
    from vaecli.networks.mlp import MLP
    from vaecli.objectives.iwae import IWAE

    class HalfELBO:
        draws = 1

        def __call__(self, model, x, y, eps):
            raise NotImplementedError

    config = with_objects(vaecli.Config(), tmp_path, {"objective": IWAE(7), "arch": MLP((30, 20))})
    assert config == vaecli.Config(objective="iwae", k=7, hidden=(30, 20))
    first, second = HalfELBO(), HalfELBO()
    names = [with_objects(vaecli.Config(), tmp_path, {"objective": it}).objective for it in (first, second, first)]
    assert names == ["half-elbo", "half-elbo-2", "half-elbo"]
    with pytest.raises(vaecli.VaecliError, match="objective=iwae with an object: expected only one of them"):
        with_objects(vaecli.Config(objective="iwae"), tmp_path, {"objective": first})


def test_a_decoder_without_a_last_layer_keeps_its_biases_and_says_so(tmp_path):
    given = {"encoder": nn.Linear(64, 4), "decoder": nn.Sequential(nn.Linear(2, 64), nn.Sigmoid())}
    images = (torch.rand(40, 8, 8) > 0.5).numpy()
    config = vaecli.Config(likelihood="bernoulli", epochs=1, batch_size=20)
    run = vaecli.train(config, tmp_path / "run", images=images, **given)
    assert run.config.init_bias == "random"
    assert KEPT in run.notes
    longer = vaecli.Config(likelihood="bernoulli", epochs=2, batch_size=20)
    again = vaecli.train(longer, run.path, images=images, resume=True, **given)
    assert (again.results["epoch"], KEPT in again.notes) == (2, False)
    with_layer = vaecli.train(config, tmp_path / "other", images=images, encoder=given["encoder"], decoder=nn.Linear(2, 64))
    assert with_layer.config.init_bias == "data" and KEPT not in with_layer.notes


class Last(nn.Module):
    """A decoder whose last layer may have another name."""

    def __init__(self, name, layer):
        super().__init__()
        self.input = nn.Linear(2, 9)
        self.add_module(name, layer)
        self.layer = layer

    def forward(self, z, y=None):
        return self.layer(self.input(z).tanh()).expand(*z.shape[:-1], 784).unsqueeze(-2)


class Tiled(nn.Linear):
    def forward(self, h):
        return super().forward(h).repeat_interleave(28, -1)


class Named:
    def __init__(self, name, layer):
        self.made = name, layer

    def encoder(self, shape, labels, outputs):
        return MLP((5,)).encoder(shape, labels, outputs)

    def decoder(self, shape, latent_dim, labels, outputs):
        return Last(*deepcopy(self.made))


LAYERS = {
    "called so": ("output", nn.Linear(9, 784), "data"),
    "of one bias for its channel": ("output", nn.Linear(9, 1), "data"),
    "of another name": ("last", nn.Linear(9, 784), "random"),
    "without a bias": ("output", nn.Linear(9, 784, bias=False), "random"),
    "of another size": ("output", Tiled(9, 28), "random"),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_an_architecture_of_others_begins_at_the_data_where_it_can(tmp_path, small_mnist, kind):
    name, layer, expected = LAYERS[kind]

    @vaecli.register("arch", "named", "networks of a test")
    def made():
        return Named(name, layer)

    config, said = vaecli.Config(arch="named", epochs=1), expected == "random"
    run = vaecli.train(config, tmp_path / "run", data_dir=small_mnist)
    assert (run.config.init_bias, KEPT in run.notes) == (expected, said)
    on = vaecli.train(replace(config, epochs=2), run.path, data_dir=small_mnist, resume=True)
    assert (on.results["epoch"], on.config.init_bias, KEPT in on.notes) == (2, expected, False)
    begun = vaecli.train(config, tmp_path / "begun", data_dir=small_mnist, init=run)
    assert (begun.config.init_bias, KEPT in begun.notes) == (expected, False)
    asked = vaecli.train(replace(config, init_bias="random"), tmp_path / "asked", data_dir=small_mnist)
    assert (asked.config.init_bias, KEPT in asked.notes) == ("random", False)
    source = Source(config, small_mnist)
    assert Plan.of({"arch": "named", "latent_dim": [2, 3]}).config({"latent_dim": 2}, 0, source).init_bias == expected
    with pytest.raises(vaecli.VaecliError, match="resume with init_bias=") if not said else nullcontext():
        vaecli.train(replace(config, init_bias="random"), run.path, data_dir=small_mnist, resume=True)
