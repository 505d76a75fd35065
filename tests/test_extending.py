"""docs/extending.md: every example does what the page says, in one file of fewer than 40 lines of code."""

import re

import pytest
import torch

import vaecli as library
from tests.helpers import ROOT
from vaecli.explorer.operations import operations
from vaecli.model import build
from vaecli.training.loop import fit, make_optimizer

TEXT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`(\w+)\.py`:\n\n```python\n(.*?)```", TEXT, re.DOTALL))
(OBJECTS,) = re.findall(r"objects:\n\n```python\n(.*?)```", TEXT, re.DOTALL)

FAMILIES = {
    "laplace": ("prior", "--scale", 0.7),
    "sharp": ("posterior", None, None),
    "mixed": ("objective", "--mix", 0.3),
    "gaussian": ("likelihood", "--sigma", 0.2),
    "residual": ("arch", "--width", 24),
    "rings": ("dataset", "--radius", 9),
    "lines": ("log", None, None),
}

pytestmark = pytest.mark.usefixtures("own_members")


@pytest.fixture
def plugin(tmp_path):
    def write(name):
        (tmp_path / f"{name}.py").write_text(FILES[name])
        return tmp_path / f"{name}.py"

    return write


def test_every_example_is_tried():
    assert FILES.keys() == FAMILIES.keys()


@pytest.mark.parametrize("name", FAMILIES)
def test_it_has_fewer_than_40_lines_of_code(name):
    assert sum(bool(line.strip()) for line in FILES[name].splitlines()) < 40


@pytest.mark.parametrize("name", FAMILIES)
def test_a_member_of_a_file_trains_measures_samples_inpaints_and_explores(vaecli, plugin, small_mnist, name):
    file, (family, option, value) = plugin(name), FAMILIES[name]
    with_plugin = ["--plugin", file]
    where, digit = ([], []) if family == "dataset" else (["--data-dir", small_mnist], ["--digit", 0])
    small = [*where, "--latent-dim", 3, "--limit", 300, "--epochs", 3, "--batch-size", 20, "--lr", 3e-3]
    options = [option, value] if option else []
    trained = vaecli("train", *with_plugin, f"--{family}", name, *options, *small, "--name", "mine")
    assert trained.code == 0, trained.err
    log = library.load("checkpoints/mine").log
    assert log[-1]["loss"] < log[0]["loss"]
    for command in (
        ["sample", "mine"], ["reconstruct", "mine"], ["latent-plot", "mine"], ["encode", "mine", "--n", 20],
        ["inpaint", "mine", *digit, "--n", 1], ["compare", "mine", "--n", 20, "--k", 5],
    ):  # fmt: skip
        outcome = vaecli(*command, *with_plugin)
        assert outcome.code == 0, (command, outcome.err)
    explored = vaecli("explore", "mine", *with_plugin)
    refusals = {"arch": "the page cannot compute torch.nn.functional.gelu", "likelihood": "expected one that the page computes"}
    refusal = refusals.get(family)
    assert explored.code == (1 if refusal else 0), explored.err
    assert (refusal or "") in explored.err


def test_the_page_takes_the_network_with_silu(plugin):
    file = plugin("residual")
    file.write_text(file.read_text().replace("nn.GELU()", "nn.SiLU()"))
    library.load_plugin(file)
    model = build(library.Config(arch="residual", width=24))
    for network, inputs in ((model.encoder, 784), (model.decoder, 2)):
        kinds = [step["kind"] for step in operations(network, torch.zeros(1, inputs), None)]
        assert kinds == ["dense", *2 * ["norm", "dense", "silu", "dense", "add"], "dense"]


def test_the_laplace_prior_is_a_density_with_its_samples_quantiles_and_a_learned_scale(plugin, digits):
    library.load_plugin(plugin("laplace"))
    config = library.Config(prior="laplace", scale=2.0, epochs=2, batch_size=20, hidden=(20,))
    model = build(config)
    before = model.prior.log_scale.detach().clone()
    assert before.exp().tolist() == pytest.approx([2.0, 2.0])
    first, second = fit(model, make_optimizer(model, config), digits, config)
    assert second.loss < first.loss
    assert not torch.equal(model.prior.log_scale, before)
    scale = model.prior.log_scale.detach().exp()
    z = model.prior.sample(200_000, torch.Generator().manual_seed(0))
    # the standard deviation of a Laplace density is sqrt(2) times its scale
    assert z.std(0).tolist() == pytest.approx((2**0.5 * scale).tolist(), rel=0.02)
    u = torch.linspace(0.01, 0.99, 99).unsqueeze(1).expand(-1, 2)
    torch.testing.assert_close(torch.distributions.Laplace(0.0, scale).cdf(model.prior.quantile(u).detach()), u)
    measured = library.measure(model, digits[:100], k=(1, 50))
    assert not measured.kl_is_exact
    assert measured.bounds[1].mean < measured.bounds[50].mean


def test_the_gaussian_likelihood_is_torch_s(plugin):
    library.load_plugin(plugin("gaussian"))
    likelihood = build(library.Config(likelihood="gaussian", sigma=0.3, hidden=(5,))).pixel_likelihood
    output, x = 3 * torch.randn(4, 1, 784), torch.rand(4, 784)
    expected = torch.distributions.Normal(output.sigmoid().squeeze(1), 0.3)
    torch.testing.assert_close(likelihood(output).log_prob(x), expected.log_prob(x).sum(-1))
    pairs = torch.stack([expected.log_prob(one).sum(-1) for one in x], 1)
    torch.testing.assert_close(likelihood(output).pairwise_log_prob(x), pairs, rtol=1e-5, atol=5e-3)
    drawn = likelihood(output).sample((5000,), torch.Generator().manual_seed(0))
    assert float((drawn - expected.mean).std()) == pytest.approx(0.3, rel=0.01)
    assert library.Config(likelihood="gaussian").binarize == "none"


def test_objects_of_python_make_runs_that_open_as_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(OBJECTS, "extending.md", "exec"), names := {"__name__": "session"})
    assert library.load("gentle").config.objective == "gentle"
    loaded, trained = names["run"], library.load("networks", **names["networks"]())
    x = torch.rand(3, 784).round()
    assert torch.equal(loaded.model.posterior(x).mean, trained.model.posterior(x).mean)
