"""About how long a study takes, from a few steps of some of its settings on this machine."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.data.load import Source
from vaecli.device import resolve_device, resolve_precision
from vaecli.evaluation.importance import evaluate, importance_bound
from vaecli.model import build
from vaecli.studies.plan import Plan, particles_of
from vaecli.studies.worker_processes import threads_of
from vaecli.training.loop import make_optimizer
from vaecli.training.settle import trained_on
from vaecli.training.step import make_step

STEPS = 8
"""Steps that are timed, after two that are not."""

MOST = 30
"""Settings that are timed; the others are taken to last as long as these on average."""

_FREE = (
    "seed", "lr", "adam_eps", "lr_schedule", "lr_warmup", "clip_norm", "patience", "kl_weight", "kl_warmup", "free_bits",
    "elbo_weight", "order", "tc_weight", "mmd_weight", "alpha", "epochs", "measure_every", "shuffle", "test_limit", "init",
    "init_bias",
)  # fmt: skip
"""Settings that change how long a step takes little or not at all."""


def estimate(plan: Plan, workers: int = 1, on_part: Callable[[float], None] = lambda share: None) -> list[float]:
    """About how many seconds trials take: one of every combination of a study without ranges, else of every corner.

    Args:
        plan: what is searched.
        workers: processes that share the cores.
        on_part: called with the share of the timing that is done.
    """
    source = Source(plan.any_config, plan.data_dir)
    images = source.images("train")
    configs = [plan.config(values, plan.space.seeds[0], source) for values in plan.space.corners()]
    costs: dict[str, float] = {}
    distinct = {_cost_key(config): config for config in configs}
    chosen = list(distinct.items())[:: max(1, -(-len(distinct) // MOST))]
    with _threads(threads_of(workers)):
        for index, (key, config) in enumerate(chosen):
            costs[key] = _seconds_an_image(config, images, plan.device)
            on_part((index + 1) / len(chosen))
        scores = _seconds_of_score(configs[0], images, plan)
    average = sum(costs.values()) / len(costs)
    made = []
    for config in configs:
        epochs = config.number("epochs")
        measured = -(-epochs // config.number("measure_every"))
        trained = costs.get(_cost_key(config), average) * trained_on(config, len(images)) * epochs
        if config.test_limit is not None:
            measured = 1 + measured * config.test_limit / plan.space.fixed["validation"]
        made.append(trained + scores[0] * measured + scores[1])
    return made


def _cost_key(config: Config) -> str:
    return repr({name: value for name, value in config.to_json().items() if name not in _FREE})


def _seconds_an_image(config: Config, images: Images, device: str) -> float:
    torch_device = resolve_device(device)
    config = replace(config, precision=resolve_precision(config.precision, torch_device))
    some = images[: config.number("batch_size")].to(torch_device)
    model = build(config, some).to(torch_device)
    step = make_step(model, make_optimizer(model, config), some, config)
    noise, index = torch.Generator(torch_device), torch.arange(len(some), device=torch_device)
    start = 0.0
    for number in range(STEPS + 2):
        if number == 2:
            start = time.perf_counter()
        float(step(index, noise).sum())
    return (time.perf_counter() - start) / STEPS / len(some)


def _seconds_of_score(config: Config, images: Images, plan: Plan) -> tuple[float, float]:
    """How long the bound after an epoch takes, and the one to choose by after the last."""
    torch_device, particles = resolve_device(plan.device), particles_of(plan.by)
    some, held_out = images[:500].to(torch_device), config.validation or 0
    model = build(config, some).to(torch_device)
    start = time.perf_counter()
    evaluate(model, some)
    middle = time.perf_counter()
    if particles:
        importance_bound(model, some[:100], particles)
    end = time.perf_counter()
    return (middle - start) / len(some) * held_out, (end - middle) / min(100, len(some)) * held_out


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
