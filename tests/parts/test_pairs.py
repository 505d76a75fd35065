"""Priors and posteriors with each other: everything is done with them, or refused in one line."""

import json
import math
from functools import partial

import pytest
import torch
from matplotlib.path import Path

import vaecli
from tests.helpers import one_line
from tests.parallel.test_rows import Fake
from tests.parts.pairs import ONCE, each_once, every_pair, small
from vaecli import registry
from vaecli.analysis import architecture, comparison, encoding, inpainting, interpolation, latents, sampling
from vaecli.config import Config
from vaecli.distributions.mixture import DiagonalMixture
from vaecli.errors import UsageError
from vaecli.evaluation import quadrature
from vaecli.evaluation.ais import bracketed
from vaecli.evaluation.grid import Grid
from vaecli.evaluation.importance import evaluate
from vaecli.evaluation.quadrature import exact_log_prob, exact_log_prob_of_parts
from vaecli.explorer.payload import HELD, contours, payload
from vaecli.model import build
from vaecli.objectives.base import make_objective
from vaecli.processes import Processes
from vaecli.seeding import generator
from vaecli.training import step
from vaecli.training.loop import make_optimizer

OBJECTIVES = [name for name in registry.names("objective") if not registry.find("objective", name).needs]
CLOSED = [("normal", "diagonal"), ("normal", "full")]
"""The pairs whose KL is in closed form."""


@every_pair
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_parameter_is_trained(digits, prior, posterior, objective):
    config = small(prior, posterior, objective=objective, hidden=(20,), latent_dim=3, k=5)
    model, call = build(config), make_objective(config)
    x = model.observe(digits.pixels[:20], generator("cpu"))
    bound = call(model, x, None, torch.randn(call.draws, 20, 3, generator=generator("cpu", "eps")))
    assert bound.kl_is_exact == ((prior, posterior) in CLOSED)
    (-bound.value.mean()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert (parameter.grad != 0).any(), name


@every_pair
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_gradients_of_two_processes_add_up_to_that_of_one(digits, prior, posterior, precision):
    config = small(prior, posterior, hidden=(20,), k=3, precision=precision)

    def gradient(processes):
        model, noise = build(config), generator("cpu", "noise")
        step.make_step(model, make_optimizer(model, config), digits, config, processes)(torch.arange(9), noise)
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).double()

    whole, parts = gradient(Processes()), [gradient(Fake(rank, 2)) for rank in range(2)]
    assert float((sum(parts) - whole).norm() / whole.norm()) < (0.02 if precision == "bf16" else 1e-5)


@each_once
def test_a_run_goes_on_as_if_it_had_never_stopped(small_mnist, tmp_path, prior, posterior):
    train = partial(vaecli.train, data_dir=small_mnist, threads=1)
    settings = partial(small, prior, posterior, hidden=(8,), limit=300, objective="iwae")
    whole = train(settings(epochs=2), tmp_path / "whole")
    train(settings(epochs=1), tmp_path / "part")
    part = train(settings(epochs=2), tmp_path / "part", resume=True)
    for (name, a), b in zip(whole.model.state_dict().items(), part.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert part.config.prior == prior
    assert ("test_kl_particles" in part.results) == ((prior, posterior) not in CLOSED)


@each_once
def test_the_bounds_are_below_log_p_which_is_exact(trained, prior, posterior):
    model, images = trained(prior, posterior).model, vaecli.load_images("mnist", "test", limit=25)
    measured = vaecli.measure(model, images, k=(1, 50, 5000), exact=True, proposal="mixture")
    assert measured.kl_is_exact == ((prior, posterior) in CLOSED)
    assert (measured.kl.monte_carlo_error is None) == measured.kl_is_exact
    assert ("kl_is_exact" in measured.to_json()) == (not measured.kl_is_exact)
    assert not measured.convergence.unconverged
    one, fifty, many = (measured.bounds[k] for k in (1, 50, 5000))
    error = max(estimate.monte_carlo_error for estimate in (one, fifty, many, measured.elbo))
    assert one.mean < fifty.mean + 3 * error
    assert fifty.mean < many.mean + 3 * error
    assert many.mean < measured.exact.mean + 4 * many.monte_carlo_error + 0.01
    assert many.mean > measured.exact.mean - 0.5
    assert measured.elbo.mean < measured.exact.mean + 3 * measured.elbo.monte_carlo_error


@pytest.mark.parametrize("name", ["flow", "two-layer"])
@torch.inference_mode()
def test_quadrature_over_the_latents_is_that_over_the_noise_of_the_prior(trained, name):
    model, images = trained(name, name).model, vaecli.load_images("mnist", "test", limit=5)
    exact = exact_log_prob(model, images)
    grid, x, p = Grid(2, 300, 6.0), model.observe(images.pixels), model.prior()
    eps = grid.points(torch.device("cpu"))
    log_p = torch.cat([model.likelihood(p.transform(part)).pairwise_log_prob(x) for part in eps.split(5000)])
    log_p += torch.distributions.Normal(0.0, 1.0).log_prob(eps).sum(1, keepdim=True)
    torch.testing.assert_close(log_p.double().logsumexp(0) + 2 * math.log(grid.cell), exact.log_prob, rtol=0, atol=0.02)


@torch.inference_mode()
def test_an_estimated_kl_is_the_closed_form_in_the_mean(trained, monkeypatch):
    model, images = trained("normal", "full").model, vaecli.load_images("mnist", "test", limit=50)
    exact = evaluate(model, images)
    assert exact.kl_is_exact

    def unknown(q, p):
        raise NotImplementedError

    monkeypatch.setattr("vaecli.model.kl_divergence", unknown)
    estimated = evaluate(model, images, 200)
    assert not estimated.kl_is_exact
    assert not torch.equal(estimated.kl, exact.kl)
    x = model.observe(images.pixels, generator("cpu"))
    kl = model.log_weights(x, None, torch.randn(4000, 50, 2, generator=generator("cpu", "eps"))).kl
    # 50 images of 4,000 particles each, with the variances that `evaluate` says
    error = float((estimated.variance["kl"] / 4000).sum().sqrt()) / 50
    assert float(kl.mean()) == pytest.approx(float(exact.kl.mean()), abs=5 * error)


@each_once
def test_pictures_are_made_and_images_encoded(trained, prior, posterior):
    run, images = trained(prior, posterior), vaecli.load_images("mnist", "test", limit=6)
    model = run.model
    assert sampling.sample(model, 4).z.shape == (4, 2)
    assert sampling.reconstruct(model, images).mean.shape == (6, 784)
    assert interpolation.between(model, images[:1], images[1:2], 5).mean.shape == (5, 784)
    assert comparison.show_run(run, "pair", images, 3).samples.mean.shape == (3, 784)
    encoded = encoding.latents_of(model, images)
    assert encoded.mean.isfinite().all() and encoded.log_scale.isfinite().all()
    torch.testing.assert_close(latents.cloud(model, images).points, encoded.mean)
    torch.testing.assert_close(latents.variances(model, images).variance, (2 * encoded.log_scale).exp(), rtol=1e-4, atol=1e-9)


@each_once
def test_missing_pixels_are_inferred_and_their_log_p_is_exact(trained, monkeypatch, prior, posterior):
    run = trained(prior, posterior)
    images, train = vaecli.load_images("mnist", "test", limit=2), vaecli.load_images("mnist", "train", limit=500)
    found = inpainting.inpaint(run.model, images, train)
    assert found.fills.isfinite().all() and found.scores is None
    monkeypatch.setattr(inpainting, "LARGEST", 0)
    inferred = inpainting.inpaint(run.model, images, train, starts=2, steps=100)
    assert inferred.fills.isfinite().all() and inferred.exact is None
    # a lower bound, estimated with 1,000 samples whose spread is about a nat
    assert (inferred.scores.bound < found.exact.observed + 0.2).all()
    assert (inferred.scores.bound > found.exact.observed - 15).all()


@each_once
def test_a_page_shows_the_decoder_and_says_what_the_prior_does_not_have(trained, prior, posterior):
    run = trained(prior, posterior)
    (space,) = payload([run], [vaecli.load_images("mnist", "test", limit=20)])["spaces"]
    assert space["latents"] == run.model.prior.decoded
    assert space["standardNormal"] == (prior == "normal")
    assert ("encoder" in space) == (posterior == "diagonal")


@each_once
def test_contours_hold_their_shares_of_the_samples(trained, prior, posterior):
    model = trained(prior, posterior).model
    if model.prior.decoded < 2:
        return
    z = model.prior.sample(20_000, generator("cpu", "contours"))
    lines = contours(model, 1.2 * float(z.abs().max()))
    for share, found in zip(HELD, lines, strict=True):
        # a point is inside where it is within an odd number of closed lines
        inside = sum(torch.from_numpy(Path(line).contains_points(z)) for line in found) % 2
        assert float(inside.double().mean()) == pytest.approx(share, abs=0.02)


def test_a_manifold_needs_quantiles(trained):
    assert latents.manifold(trained("normal", "full"), side=3).mean.shape == (9, 784)
    with pytest.raises(UsageError, match=r"^manifold with prior=mixture: found a prior without quantiles"):
        latents.manifold(trained("mixture", "diagonal"))


def test_exact_values_need_extents(trained, monkeypatch):
    monkeypatch.delattr(DiagonalMixture, "extent")
    model = trained("mixture", "diagonal").model
    with pytest.raises(UsageError, match=r"^exact: found Mixture and Diagonal, expected .* that have `extent`"):
        vaecli.measure(model, vaecli.load_images("mnist", "test", limit=2), exact=True)
    assert vaecli.measure(model, vaecli.load_images("mnist", "test", limit=200), k=(2000,)).bounds[2000].mean < 0  # no table either


@pytest.mark.parametrize(
    ("objective", "family", "name", "needed", "able"),
    [
        ("gjs", "prior", "mixture", "diagonal Gaussian", "normal"),
        ("gjs", "posterior", "full", "diagonal Gaussian", "diagonal"),
        ("jsd", "prior", "mixture", "reparameterised", "normal or flow or two-layer"),
    ],
)
def test_an_objective_says_what_it_needs_before_anything_is_trained(objective, family, name, needed, able):
    expected = f"objective={objective} with {family}={name}: it needs a {needed} {family}; expected {family}={able}, or another"
    with pytest.raises(UsageError, match=expected):
        Config(objective=objective, **{family: name})
    assert Config(objective="jsd", posterior="full").run_name == "mnist-z2-jsd-full"


def test_the_command_line_knows_them(vaecli, small_mnist):
    words = ["--data-dir", small_mnist, "--epochs", "1", "--name", "pair", "--prior", "mixture", "--posterior", "full"]
    assert "KL has no closed form here" in vaecli("train", *words).err
    assert "KL has no closed form" in vaecli("compare", "pair", "--table-only", "--k", "0").err
    table = json.loads(vaecli("compare", "pair", "--table-only", "--k", "0", "--json").out)["table"]
    assert table[0]["kl_is_exact"] is False
    assert "--prior=mixture" in one_line(vaecli("latent-plot", "pair", "--manifold"), 2).replace(" mixture", "=mixture")
    assert "--prior normal" in one_line(vaecli("train", "--objective", "gjs", "--prior", "mixture"), 2)
    assert vaecli("inpaint", "pair", "--n", "1").code == 0
    assert vaecli("explore", "pair", "--n", "5").code == 0
    assert "did you mean normal?" in one_line(vaecli("train", "--prior", "norml"), 2)


@every_pair
def test_the_layers_count_the_parameters_of_all_parts(prior, posterior):
    config = small(prior, posterior, hidden=(30,))
    expected = sum(parameter.numel() for parameter in build(config).parameters())
    assert architecture.architecture(config).parameters == expected


@pytest.mark.parametrize(
    ("prior", "posterior"), [pytest.param(*pair, marks=pytest.mark.slow if "flow" in pair else ()) for pair in ONCE]
)
def test_annealing_is_what_quadrature_says(trained, monkeypatch, prior, posterior):
    monkeypatch.setitem(quadrature.MOST, 2, 300)  # a finer grid takes long
    model = trained(prior, posterior).model
    images = vaecli.load_images("mnist", "test", limit=16)
    measured = vaecli.measure(model, images, k=(), exact=True, ais=vaecli.AIS(60))
    assert measured.convergence.refinement_error < 0.01
    assert abs(measured.ais.mean - measured.exact.mean) < 3 * measured.ais.monte_carlo_error < 1
    # on images drawn from the model the bounds are on either side
    sides = bracketed(model, 16, vaecli.AIS(60))
    with torch.no_grad():
        z = model.prior.sample(16, generator("cpu", "annealing", "latents"))
        x = model.likelihood(z).sample(generator=generator("cpu", "annealing", "pixels"))
        q = model.posterior(x)
    seen = torch.ones(784, dtype=torch.bool)
    exact = exact_log_prob_of_parts(model, x, torch.zeros(16, dtype=torch.int64), seen, q).log_prob[2]
    for distance in (exact - sides.lower, sides.upper - exact):
        assert float(distance.mean()) > -3 * float(distance.std()) / 4 - 0.01
