"""A person's own networks in a model."""

import pytest
import torch
from torch import nn

import vaecli
from vaecli.data.images import Images
from vaecli.model import build
from vaecli.networks.given import GivenNetworks
from vaecli.runs.objects import with_objects

pytestmark = pytest.mark.usefixtures("own_members")


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
    config = with_objects(vaecli.Config(init_bias="data"), tmp_path, networks())
    assert float(build(config, bright).likelihood(torch.zeros(1, 2)).mean.detach().min()) > 0.9
    config = with_objects(vaecli.Config(likelihood="beta"), tmp_path, networks(outputs=2))
    torch.testing.assert_close(build(config).likelihood(torch.randn(3, 2)).mean, torch.full((3, 784), 0.5))
    no_layer = nn.Sequential(nn.Linear(2, 784), nn.Sigmoid())
    config = with_objects(vaecli.Config(init_bias="data"), tmp_path, networks() | {"decoder": no_layer})
    with pytest.raises(vaecli.VaecliError, match="the decoder has no last layer called output"):
        build(config, bright)


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


def test_a_decoder_without_a_last_layer_keeps_its_biases_where_a_data_set_would_set_them_and_says_so(tmp_path):
    given = {"encoder": nn.Linear(64, 4), "decoder": nn.Sequential(nn.Linear(2, 64), nn.Sigmoid())}
    images = (torch.rand(40, 8, 8) > 0.5).numpy()
    config = vaecli.Config(likelihood="bernoulli", epochs=1, batch_size=20)
    run = vaecli.train(config, tmp_path / "run", images=images, **given)
    assert run.config.init_bias == "random"
    assert "The decoder given has no last layer with a bias, so it begins with the biases that it has" in run.notes
    with_layer = vaecli.train(config, tmp_path / "other", images=images, encoder=given["encoder"], decoder=nn.Linear(2, 64))
    assert with_layer.config.init_bias == "data"
