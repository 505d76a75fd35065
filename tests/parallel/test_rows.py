"""The step that is split over processes, and what is measured by several, without any other process."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace

import pytest
import torch

from tests.helpers import BASELINE, rounding
from vaecli import registry
from vaecli.config import Config
from vaecli.data import load_images
from vaecli.errors import UsageError
from vaecli.evaluation import ais, grid, importance, likelihood_table
from vaecli.evaluation import measure as measurement
from vaecli.evaluation.importance import evaluate, importance_bound
from vaecli.evaluation.measure import measure
from vaecli.evaluation.quadrature import exact_log_prob
from vaecli.model import build
from vaecli.processes import Processes
from vaecli.runs.run import load
from vaecli.seeding import generator
from vaecli.training import step
from vaecli.training.loop import make_optimizer


class Fake(Processes):
    """One of several processes, which is sent nothing by the others."""

    def sum(self, tensor, *, patiently=False):
        return tensor


@dataclass(frozen=True)
class Threads(Processes):
    """One of several threads of this process, which send each other what processes would."""

    sent: tuple[list, threading.Barrier] = ()

    def sum(self, tensor, *, patiently=False):
        parts, barrier = self.sent
        parts[self.rank] = tensor.clone()
        barrier.wait(60)
        tensor.copy_(torch.stack(parts).sum(0))
        barrier.wait(60)
        return tensor


MEMBERS = [{"objective": objective} for objective in registry.names("objective")]
MEMBERS += [{"likelihood": likelihood} for likelihood in registry.names("likelihood")]
MEMBERS += [{"objective": objective, "arch": "conv", "channels": (4, 4)} for objective in ("iwae", "beta-tc")]
MEMBERS += [{"arch": "resnet", "channels": (4, 4)}]
MEMBERS += [{"arch": "residual-mlp", "hidden": (20, 20)}]
MEMBERS += [{"objective": objective, "free_bits": 0.02} for objective in ("elbo", "stl", "info")]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("settings", MEMBERS, ids=lambda settings: " ".join(map(str, settings.values())))
@pytest.mark.parametrize(("images", "rows", "size"), [(10, 10_000, 3), (10, 21, 3), (2, 10_000, 5), (7, 7, 2)])
def test_all_processes_have_the_gradient_of_one(settings, images, rows, size, precision, digits, monkeypatch):
    """Whether a batch goes through the model at once or a few images at a time, and if some processes have no image."""
    config = Config(**{"k": 7, "hidden": (20,), "precision": precision} | settings)
    config = replace(config, binarize="stochastic") if config.likelihood == "bernoulli" else config
    monkeypatch.setattr(step, "ROWS", rows)

    def start(processes):
        model = build(config)  # by a generator that threads would share
        return step.make_step(model, make_optimizer(model, config), digits, config, processes), model

    def gradient_and_nats(started):
        take, model = started
        noise = generator("cpu", "noise")
        try:
            nats = take(torch.arange(images), noise)
        except Exception:
            sent[1].abort()  # the others would wait
            raise
        left = torch.rand(3, generator=noise)
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).double(), nats, left

    sent = [None] * size, threading.Barrier(size)
    whole, nats, left = gradient_and_nats(start(Processes()))
    started = [start(Threads(rank, size, sent)) for rank in range(size)]
    with ThreadPoolExecutor(size) as pool:
        parts = list(pool.map(gradient_and_nats, started))
    coarse = precision == "bf16"  # products of other shapes round in another way
    bound = 0.02 if coarse else rounding(config.objective, abs(float(nats[1])) / images)
    for gradient, _, after in parts:
        assert float((gradient - whole).norm() / whole.norm()) < bound
        assert torch.equal(gradient, parts[0][0])
        assert torch.equal(after, left)
    torch.testing.assert_close(sum(part for _, part, _ in parts), nats, rtol=0.01 if coarse else 1e-5, atol=1e-3)


@pytest.mark.parametrize(("k", "proposal"), [(1, "posterior"), (50, "posterior"), (50, "mixture"), (3000, "posterior")])
def test_bounds_of_each_image_come_from_one_process_to_the_bit(k, proposal, baseline_model, monkeypatch):
    monkeypatch.setattr(importance, "BLOCK", 100)
    monkeypatch.setitem(likelihood_table.SIDE, 2, 150)
    images = load_images("mnist", "test", limit=210)
    whole = importance_bound(baseline_model, images, k, proposal)
    parts = [importance_bound(baseline_model, images, k, proposal, processes=Fake(rank, 3)) for rank in range(3)]
    assert torch.equal(sum(part.value for part in parts), whole.value)
    assert torch.equal(sum(part.weights.largest for part in parts), whole.weights.largest)
    assert all((part.value != 0).any() for part in parts[: 3 if k == 50 else 2])


@pytest.mark.parametrize("draws", [1, 5])
def test_the_elbo_of_each_image_comes_from_one_process_to_the_bit(draws, baseline_model):
    images = load_images("mnist", "test", limit=1510)
    whole = evaluate(baseline_model, images, draws)
    parts = [evaluate(baseline_model, images, draws, Fake(rank, 3)) for rank in range(3)]
    assert torch.equal(sum(part.elbo for part in parts), whole.elbo)
    if draws > 1:
        assert torch.equal(sum(part.variance["elbo"] for part in parts), whole.variance["elbo"])


def test_annealing_of_each_image_comes_from_one_process_to_the_bit(baseline_model, monkeypatch):
    monkeypatch.setitem(ais.ROWS, "cpu", 16)
    images, settings = load_images("mnist", "test", limit=13), ais.AIS(2)
    fakes = [Fake(rank, 3) for rank in range(3)]
    whole = ais.annealed(baseline_model, images, settings)
    parts = [ais.annealed(baseline_model, images, settings, processes=fake) for fake in fakes]
    assert torch.equal(sum(part.log_w for part in parts), whole.log_w)
    assert all((part.log_w != 0).any() for part in parts)
    whole, *parts = (ais.bracketed(baseline_model, 13, settings, processes=each) for each in (Processes(), *fakes))
    assert torch.equal(sum(part.upper for part in parts), whole.upper)
    assert torch.equal(sum(part.lower for part in parts), whole.lower)


def test_exact_values_are_those_of_one_process_in_all(baseline_model, monkeypatch):
    size, images = 3, load_images("mnist", "test", limit=3)
    monkeypatch.setattr(grid, "_CELLS", 3 * 500)  # several chunks of latents a process
    alone = exact_log_prob(baseline_model, images, sides=(40, 80))
    sent = [None] * size, threading.Barrier(size)
    with ThreadPoolExecutor(size) as pool:
        each = [Threads(rank, size, sent) for rank in range(size)]
        found = list(pool.map(lambda own: exact_log_prob(baseline_model, images, sides=(40, 80), processes=own), each))
    for value in found:
        torch.testing.assert_close(value.log_prob, alone.log_prob, atol=1e-4, rtol=0)
        assert (value.side, value.unconverged.tolist()) == (alone.side, alone.unconverged.tolist())


def test_processes_that_would_measure_different_things_are_refused(baseline_model, monkeypatch):
    images = load_images("mnist", "test", limit=3)
    other = build(Config(seed=1))
    others_labels = replace(images, labels=images.labels.flip(0))
    calls = [
        (baseline_model, images, {}),
        (other, images, {}),
        (baseline_model, images[:2], {}),
        (baseline_model, others_labels, {}),
    ]
    calls += [(baseline_model, images, how) for how in ({"k": (3,)}, {"draws": 2}, {"proposal": "mixture"}, {"repeats": 2})]
    sent = []

    class Beside(Fake):
        """Beside it is a process that measures what the first call does."""

        def all_gather(self, value):
            sent.append(value)
            return [sent[0], value]

    monkeypatch.setattr(measurement, "joined", lambda device: Beside(0, 2))
    for number, (model, seen, how) in enumerate([calls[0], *calls]):
        refused = pytest.raises(UsageError, match=r"^process 1 measures another model, other images or otherwise than the first")
        with refused if number > 1 else nullcontext():
            measure(model, seen, **{"k": (2,)} | how)
    assert len(set(sent)) == len(calls)


@pytest.fixture(scope="module")
def baseline_model():
    return load(BASELINE).model
