import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from vaecli import registry
from vaecli.config import Config
from vaecli.data.images import UNKNOWN, Images
from vaecli.distributions.bernoulli import Bernoulli
from vaecli.distributions.normal import DiagonalNormal
from vaecli.errors import UsageError
from vaecli.evaluation.importance import evaluate
from vaecli.image_shape import ImageShape
from vaecli.model import VAE, build, skeleton
from vaecli.posteriors.diagonal import Diagonal
from vaecli.seeding import generator


def test_weights_depend_on_the_seed_and_on_nothing_else():
    torch.manual_seed(1)
    first, state = build(Config()), torch.get_rng_state()
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    for (name, a), b, c in zip(
        first.state_dict().items(), build(Config()).state_dict().values(), build(Config(seed=1)).state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
        assert not torch.equal(a, c), name


@pytest.mark.parametrize("settings", [{"hidden": (200, 200), "latent_dim": 50}, {"arch": "conv"}], ids=str)
def test_glorot_weights_fill_their_bound_and_biases_are_zero(settings):
    model = build(Config(init="glorot", **settings))
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            weight = layer.weight
            # of a convolution, inputs and outputs are counted over its whole kernel
            bound = math.sqrt(6 / ((weight.shape[0] + weight.shape[1]) * weight[0, 0].numel()))
            assert weight.abs().max() <= bound
            # the largest of 512 or more is below 98 % of the bound once in 30,000 networks
            assert weight.abs().max() > 0.98 * bound
            assert not layer.bias.any()


def test_the_initialisation_is_pytorchs_by_default():
    assert Config().init == "torch"
    assert Config().run_name == Config(init="torch").run_name
    assert Config(init="glorot").run_name == "mnist-z2-elbo-glorot"
    before = Config(latent_dim=3, init_bias="random")
    assert Config.from_json({"latent_dim": 3}) == before  # config.json of a run from before the settings
    for layer in build(Config()).modules():
        if isinstance(layer, nn.Linear):
            bound = 1 / math.sqrt(layer.in_features)
            assert 0.98 * bound < layer.weight.abs().max() <= bound


def test_a_skeleton_takes_no_memory():
    model = skeleton(Config(hidden=(16384, 16384), latent_dim=4096))
    assert all(parameter.is_meta for parameter in model.parameters())


def test_hidden_layers_are_mirrored():
    shapes = {name: tuple(tensor.shape) for name, tensor in skeleton(Config(hidden=(300, 40), latent_dim=7)).state_dict().items()}
    assert [shape for name, shape in shapes.items() if name.startswith("encoder") and name.endswith("weight")] == [
        (300, 784), (40, 300), (14, 40)]  # fmt: skip
    assert [shape for name, shape in shapes.items() if name.startswith("decoder") and name.endswith("weight")] == [
        (40, 7), (300, 40), (784, 300)]  # fmt: skip


def test_binarisation():
    pixels = torch.arange(256, dtype=torch.uint8).repeat(4000, 1)
    threshold = build(Config()).observe(pixels, generator("cpu"))
    assert torch.equal(threshold[0], (torch.arange(256) >= 128).float())
    model = build(Config(binarize="stochastic"))
    drawn = model.observe(pixels, generator("cpu", 1))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    # 4000 draws of a probability p: 6 standard errors
    p = torch.arange(256) / 255
    assert ((drawn.mean(0) - p).abs() <= 6 * (p * (1 - p) / 4000).sqrt()).all()
    assert not torch.equal(drawn, model.observe(pixels, generator("cpu", 2)))


@pytest.mark.parametrize("arch", registry.names("arch"))
@pytest.mark.parametrize("level", [6, 128, 250])
def test_images_of_any_brightness_can_start_near_what_they_are(arch, level):
    """The start at mid-grey costs 6.4 nats per value on dark pictures with bright spots, and 67 some steps later."""
    pixels = torch.randint(level - 5, level + 6, (50, 768), generator=generator("cpu", 1)).to(torch.uint8)
    images = Images(pixels, torch.full((50,), UNKNOWN), (), ImageShape(3, 16, 16))
    config = Config(dataset="folder", image_size=16, arch=arch, init_bias="data")
    model = build(config, images)
    x = model.observe(images.pixels, generator("cpu", 2))
    cost = -model.likelihood(torch.zeros(50, 2)).log_prob(x).mean() / 768
    # the entropy of 11 equal levels is 2.4 nats; a logistic of their deviation takes 2.6
    assert 2.4 < cost < 2.8


def test_a_model_of_ones_own_parts_has_no_labels():
    model = VAE(nn.Identity(), nn.Identity(), Bernoulli, 3)
    assert (model.labels, model.conditional, model.condition(torch.zeros(2, dtype=torch.int64))) == (0, False, None)


def test_a_single_label_is_one_too():
    model = build(Config(labels="full"), Images(torch.zeros(3, 784, dtype=torch.uint8), torch.tensor([0, 0, UNKNOWN]), ("a",)))
    assert model.conditional
    assert model.condition(torch.tensor([0, UNKNOWN])).tolist() == [[1], [0]]


@pytest.mark.parametrize("labels", [torch.zeros(3), torch.zeros(3, 1), torch.zeros(3, 1, dtype=torch.int64), [0, 1], 3])
@pytest.mark.parametrize("kind", ["none", "full"])
def test_labels_of_another_type_or_shape_are_refused(labels, kind):
    with pytest.raises(UsageError, match=r"^labels.*expected a tensor of torch.int64, shape \(B,\)"):
        build(Config(labels=kind, hidden=(3,))).condition(labels)


@pytest.mark.parametrize(("labels", "odd"), [([3, 12, -1], 12), ([3, -5, 9], -5), ([10], 10)])
def test_the_label_that_is_out_of_bounds_is_named(labels, odd):
    with pytest.raises(UsageError, match=f"^labels={odd}: expected 0 to 9, or -1 where a label is not known"):
        build(Config(labels="full", hidden=(3,))).condition(torch.tensor(labels))


def test_only_networks_multiply_in_bfloat16(digits):
    """A posterior whose draws are a matrix product would give another density than that of its draws."""

    class Rotated(Diagonal):
        def forward(self, h, y=None):
            return RotatedNormal(*h.chunk(2, -1))

    class RotatedNormal(DiagonalNormal):
        def transform(self, eps):
            return self.loc + (self.stddev * eps) @ turn

    turn = torch.linalg.qr(torch.randn(2, 2, generator=generator("cpu", 1)))[0]
    model = build(Config(hidden=(20,)))
    model.posterior_of = Rotated(2)
    x, eps = model.observe(digits.pixels[:20]), torch.randn(3, 20, 2, generator=generator("cpu", 2))
    exact = model.log_weights(x, None, eps)
    with model.networks_in_bf16():
        rounded = model.log_weights(x, None, eps)
        features = model.features(x)
        assert rounded.likelihood.dtype == rounded.z.dtype == features.dtype == torch.float32
    assert 1e-5 < (features - model.features(x)).abs().max() < 0.1
    torch.testing.assert_close(rounded.z, rounded.q.loc + (rounded.q.stddev * eps) @ turn, rtol=0, atol=0)
    torch.testing.assert_close(rounded.likelihood, exact.likelihood, rtol=0.01, atol=1)
    assert not torch.equal(rounded.likelihood, exact.likelihood)
    assert torch.equal(model.log_weights(x, None, eps).likelihood, exact.likelihood)


@pytest.mark.parametrize("likelihood", registry.names("likelihood"))
@pytest.mark.parametrize("arch", registry.names("arch"))
def test_training_starts_at_the_bound_of_a_model_without_latents(digits, arch, likelihood):
    """Independent pixels that have the mean of the training images, or of all of their values where the bias is a channel's.

    A likelihood whose last layer starts at zero is there but for KL. Of others the untrained layer of the mlp, with n inputs
    between -1 and 1 and weights between -1/sqrt(n) and 1/sqrt(n), moves a logit by a deviation of up to sqrt(1/3), which costs at
    most an eighth of its square, 784/24 nats in all; from other biases training starts 142 nats away and more.
    """
    config = Config(arch=arch, likelihood=likelihood)
    model, other = (build(one, digits) for one in (config, replace(config, init_bias="random")))
    by_channel = model.decoder.output.bias.numel() == model.pixel_likelihood.outputs_per_pixel
    output = model.output_without_latents(digits, by_channel=by_channel).expand(-1, 784)
    bound = model.pixel_likelihood(output.unsqueeze(0)).log_prob(model.observe(digits.pixels)).mean()
    started, elsewhere = (evaluate(it, digits) for it in (model, other))
    margin = 1e-3 * abs(float(bound)) if model.pixel_likelihood.zero_start else 784 / 24
    assert started.reconstruction.mean() == pytest.approx(float(bound), abs=margin)
    assert 0 <= started.kl.mean() < 1
    assert by_channel or started.elbo.mean() > elsewhere.elbo.mean() + 100
