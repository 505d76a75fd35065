"""Seconds that L_5000 takes for the IWAE paper's model (784-200-200-50 and back, tanh), beside the matrix products alone.

    python tests/benchmarks/evaluation.py                  # the table, brought to 10,000 images
    python tests/benchmarks/evaluation.py --operators      # what the steps of a chunk take, one by one
    python tests/benchmarks/evaluation.py --model checkpoints/paper

``floor`` is the decoder's three products in float32, of the same shapes as vaecli's, into memory that is there already.
Both take the same number of particles, in turns. The least of all rounds counts, since whatever else a machine does only adds to
it.
"""

import argparse
import math
import platform
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, get_args

import torch
from epoch import processor
from rich.console import Console
from rich.table import Table

from vaecli.config import Config
from vaecli.data import load_images
from vaecli.evaluation.importance import GROUPS, ROWS, Proposal, importance_bound
from vaecli.model import VAE, build
from vaecli.runs.run import read_run
from vaecli.threads import configure_torch

ALL = 10_000
SIZES = (50, 200, 200, 784)
SETTINGS: dict[str, Any] = {
    "hidden": (200, 200),
    "latent_dim": 50,
    "binarize": "stochastic",
    "batch_size": 100,
}


def floor(particles: int) -> Iterator[float]:
    """The products of each chunk of ROWS particles."""
    products = [(torch.randn(ROWS, a), torch.randn(a, b), torch.empty(ROWS, b)) for a, b in pairwise(SIZES)]
    while True:
        start = time.perf_counter()
        for _ in range(round(particles / ROWS)):
            for x, weight, result in products:
                torch.mm(x, weight, out=result)
        yield time.perf_counter() - start


def vaecli(model: VAE, images: int, k: int, proposal: str) -> Iterator[float]:
    digits = load_images("mnist", "test", limit=images)
    while True:
        start = time.perf_counter()
        importance_bound(model, digits, k, proposal)
        yield time.perf_counter() - start


def steps(model: VAE) -> dict[str, Callable[[], Any]]:
    """What a chunk of ROWS particles of ten images goes through, by name."""
    digits = load_images("mnist", "test", limit=10)
    k, noise = ROWS // len(digits), torch.Generator()
    x = model.observe(digits.pixels, noise)
    q = model.posterior(x)
    z = q.rsample((k,), noise)
    decoder: Any = model.decoder
    layers = [decoder.input, *decoder.hidden, decoder.output]
    inputs = [torch.randn(k, len(digits), size) for size in SIZES[:-1]]
    likelihood = model.likelihood(z)
    blocks = likelihood.output.squeeze(-2).split(50)
    memory = torch.empty_like(blocks[0])
    log_w = torch.randn(k // GROUPS, GROUPS, len(digits), dtype=torch.float64)
    log_sums = torch.full((GROUPS, len(digits)), -math.inf, dtype=torch.float64)
    return {
        "noise": lambda: torch.randn(z.shape, generator=noise),
        "noise to latents": lambda: q.rsample((k,), noise),
        "log q(z|x)": lambda: q.log_prob(z),
        "log p(z)": lambda: model.prior().log_prob(z),
        **{f"dense {a} to {b}": partial(layer, h) for layer, h, (a, b) in zip(layers, inputs, pairwise(SIZES), strict=True)},
        "tanh, twice": lambda: [torch.tanh(inputs[1]), torch.tanh(inputs[2])],
        "log p(x|z) of the logits": lambda: likelihood.log_prob(x),
        "its multiplication by the sign": lambda: [torch.mul(block, x, out=memory) for block in blocks],
        "its sigmoid": lambda: [torch.sigmoid(block, out=memory) for block in blocks],
        "its products over 56 pixels": lambda: [memory.unflatten(-1, (-1, 56)).prod(-1) for _ in blocks],
        "sum of weights": lambda: torch.logaddexp(log_sums, log_w.logsumexp(0)),
    }


def table(title: str, *headings: str) -> Table:
    result = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for place, heading in enumerate(headings):
        result.add_column(heading, justify="right" if place else "left")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=int, default=5000, help="particles per image")
    parser.add_argument("--images", type=int, default=80, help="images that are measured")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender, after one that warms up")
    parser.add_argument("--proposal", choices=get_args(Proposal), default="posterior", help="where the particles come from")
    parser.add_argument("--threads", type=int, help="threads of an operation")
    parser.add_argument("--model", type=Path, help="a trained run's folder; without it the model is untrained")
    parser.add_argument("--operators", action="store_true", help="microseconds of the steps of one chunk, least of many")
    given = parser.parse_args()
    configure_torch()
    if given.threads:
        torch.set_num_threads(given.threads)
    model = read_run(given.model).model if given.model else build(Config(**SETTINGS), load_images("mnist", "train"))
    title = f"{processor()}, {torch.get_num_threads()} threads, Python {platform.python_version()}, fp32"
    with torch.inference_mode():
        if given.operators:
            result = table(title, f"{ROWS} particles", "microseconds")
            for name, step in steps(model).items():
                result.add_row(name, f"{1e6 * min(timed(step) for _ in range(100)):,.0f}")
        else:
            result = table(title, f"k = {given.k}", "s for 10,000 images", "median", "x floor")
            contenders = {
                "floor": floor(given.images * given.k),
                "vaecli": vaecli(model, given.images, given.k, given.proposal),
            }
            rounds = [{name: next(times) for name, times in contenders.items()} for _ in range(given.rounds + 1)][1:]
            least = {name: min(seconds[name] for seconds in rounds) for name in contenders}
            for name, seconds in least.items():
                whole = ALL / given.images
                row = [f"{each * whole:.1f}" for each in (seconds, median(turn[name] for turn in rounds))]
                result.add_row(name, *row, f"{seconds / least['floor']:.2f}")
    Console(width=100).print(result)


def timed(step: Callable[[], Any]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
