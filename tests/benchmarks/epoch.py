"""Seconds per epoch of the report's baseline (784-500-2-500-784, batches of 200, all 60,000 digits), beside other ways to train it.

    python tests/benchmarks/epoch.py                   # the table, for k = 1 and 10
    python tests/benchmarks/epoch.py --sweep           # vaecli alone, for k = 1, 5, 10, 50, 500
    python tests/benchmarks/epoch.py --beside 1        # beside a process that computes

Each contender runs in processes of its own, one after the other and the same again, so that all of them meet a busy machine's
good and bad minutes. ``floor`` is the matrix products of a step and nothing else, in the precision that vaecli chooses on this
machine. NumPyro and pythae take part where they are installed. The least of all epochs counts, since whatever else a machine does
only adds to it.
"""

import argparse
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

IMAGES, BATCH, HIDDEN, PIXELS, LATENT = 60_000, 200, 500, 784, 2
STEPS = IMAGES // BATCH


def digits() -> Any:
    from vaecli.data import load_images

    return (load_images("mnist", "train").pixels > 127).float()


def floor(k: int, share: float, precision: str) -> Iterator[float]:
    """The eleven products of a step: each of four layers forward, its weights' gradient and, but for the first, its inputs'."""
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    layers = [
        (torch.randn(rows, inputs, dtype=dtype), torch.randn(outputs, inputs, dtype=dtype), torch.randn(rows, outputs, dtype=dtype))
        for rows, inputs, outputs in (
            (BATCH, PIXELS, HIDDEN),
            (BATCH, HIDDEN, 2 * LATENT),
            (BATCH * k, LATENT, HIDDEN),
            (BATCH * k, HIDDEN, PIXELS),
        )
    ]
    products = [(x, weight.T) for x, weight, _ in layers]
    for x, weight, gradient in reversed(layers):
        products += [(gradient.T, x), (gradient, weight)]
    products.pop()  # nothing asks for the images' gradient
    results = [torch.mm(a, b) for a, b in products]
    while True:
        start = time.perf_counter()
        for _ in range(round(STEPS * share)):
            for (a, b), result in zip(products, results, strict=True):
                torch.mm(a, b, out=result)
        yield time.perf_counter() - start


def vaecli(k: int, share: float, precision: str) -> Iterator[float]:
    from vaecli.config import Config
    from vaecli.data import load_images
    from vaecli.model import build
    from vaecli.threads import configure_torch
    from vaecli.training.loop import fit, make_optimizer

    configure_torch()
    config = Config(objective="iwae" if k > 1 else "elbo", k=k, epochs=1000, precision=precision)
    model = build(config)
    images = load_images("mnist", "train", limit=round(IMAGES * share))
    for record in fit(model, make_optimizer(model, config), images, config):
        yield record.seconds


def dataloader(k: int, share: float, _: str) -> Iterator[float]:
    """A plain loop, as PyTorch's own example has it, with torch.distributions and k-fold images."""
    import torch
    from torch import nn
    from torch.distributions import Bernoulli, Normal
    from torch.utils.data import DataLoader, TensorDataset

    encoder = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2 * LATENT))
    decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, PIXELS))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    loader = DataLoader(TensorDataset(digits()[: round(IMAGES * share)]), BATCH, shuffle=True)
    while True:
        start = time.perf_counter()
        total = 0.0
        for (x,) in loader:
            loc, log_scale = encoder(x).chunk(2, -1)
            q = Normal(loc, log_scale.exp())
            z = q.rsample((k,))
            log_w = Bernoulli(logits=decoder(z), validate_args=False).log_prob(x.expand(k, -1, -1)).sum(-1)
            log_w = log_w + (Normal(0, 1).log_prob(z) - q.log_prob(z)).sum(-1)
            loss = -(log_w.logsumexp(0)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        yield time.perf_counter() - start


def numpyro(k: int, share: float, _: str) -> Iterator[float]:
    """As NumPyro's example trains: one jitted loop over an epoch."""
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from jax.example_libraries import stax
    from numpyro.infer import SVI, RenyiELBO, Trace_ELBO

    images = jnp.asarray(digits().numpy())
    steps = round(STEPS * share)
    encoder = stax.serial(
        stax.Dense(HIDDEN), stax.Tanh, stax.FanOut(2), stax.parallel(stax.Dense(LATENT), stax.serial(stax.Dense(LATENT), stax.Exp))
    )
    decoder = stax.serial(stax.Dense(HIDDEN), stax.Tanh, stax.Dense(PIXELS))

    def model(batch: Any) -> None:
        decode = numpyro.module("decoder", decoder, (BATCH, LATENT))
        with numpyro.plate("batch", BATCH):
            z = numpyro.sample("z", dist.Normal(jnp.zeros(LATENT), 1).to_event(1))
            numpyro.sample("x", dist.Bernoulli(logits=decode(z)).to_event(1), obs=batch)

    def guide(batch: Any) -> None:
        loc, sigma = numpyro.module("encoder", encoder, (BATCH, PIXELS))(batch)
        with numpyro.plate("batch", BATCH):
            numpyro.sample("z", dist.Normal(loc, sigma).to_event(1))

    svi = SVI(model, guide, numpyro.optim.Adam(1e-3), RenyiELBO(alpha=0, num_particles=k) if k > 1 else Trace_ELBO())
    state = svi.init(jax.random.PRNGKey(0), images[:BATCH])

    @jax.jit
    def epoch(state: Any, key: Any) -> Any:
        order = jax.random.permutation(key, IMAGES).reshape(STEPS, BATCH)
        return jax.lax.fori_loop(0, steps, lambda i, state: svi.update(state, images[order[i]])[0], state)

    number = 0
    while True:
        start = time.perf_counter()
        state = jax.block_until_ready(epoch(state, jax.random.PRNGKey(number)))
        number += 1
        yield time.perf_counter() - start


def pythae(k: int, share: float, _: str) -> Iterator[float]:
    """By pythae's own trainer."""
    import logging

    from pythae.models import IWAE, VAE, IWAEConfig, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig
    from torch import nn

    logging.disable(logging.CRITICAL)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, HIDDEN), nn.Tanh())
            self.loc, self.log_var = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)

        def forward(self, x: Any) -> Any:
            h = self.body(x)
            return ModelOutput(embedding=self.loc(h), log_covariance=self.log_var(h))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, PIXELS), nn.Sigmoid())

        def forward(self, z: Any) -> Any:
            return ModelOutput(reconstruction=self.body(z).reshape(-1, 1, 28, 28))

    about = {"input_dim": (1, 28, 28), "latent_dim": LATENT, "reconstruction_loss": "bce"}
    model = (
        IWAE(IWAEConfig(**about, number_samples=k), Encoder(), Decoder())
        if k > 1
        else VAE(VAEConfig(**about), Encoder(), Decoder())
    )
    images = digits()[: round(IMAGES * share)].view(-1, 1, 28, 28).numpy()
    with tempfile.TemporaryDirectory() as folder:
        while True:
            config = BaseTrainerConfig(
                output_dir=folder, num_epochs=1, per_device_train_batch_size=BATCH, learning_rate=1e-3, no_cuda=True
            )
            start = time.perf_counter()
            TrainingPipeline(training_config=config, model=model)(train_data=images)
            yield time.perf_counter() - start


CONTENDERS: dict[str, Callable[[int, float, str], Iterator[float]]] = {
    contender.__name__: contender for contender in (floor, vaecli, dataloader, numpyro, pythae)
}


def measured(name: str, k: int, epochs: int, share: float, precision: str) -> tuple[float, float]:
    """The least seconds of some epochs, brought to a whole epoch, and the peak memory in GB; the first epoch warms up."""
    line = [
        sys.executable,
        __file__,
        "--run",
        name,
        "--k",
        str(k),
        "--epochs",
        str(epochs),
        "--share",
        str(share),
        "--precision",
        precision,
    ]
    # vaecli's threads sleep beside other work; the others' wait as OpenMP has it where nobody says otherwise
    waiting = {} if name == "vaecli" else {"GOMP_SPINCOUNT": "300000"}
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=waiting | os.environ)
    if done.returncode:
        raise SystemExit(f"{name}, k = {k}: {done.stderr.strip().splitlines()[-1]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return min(answer["seconds"]) / share, answer["peak"] / 1e6


def run(name: str, k: int, epochs: int, share: float, precision: str) -> None:
    times = CONTENDERS[name](k, share, precision)
    seconds = [next(times) for _ in range(epochs + 1)][1:]
    print(json.dumps({"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


def resolved(precision: str) -> str:
    import torch

    from vaecli.device import resolve_precision

    return resolve_precision(precision, torch.device("cpu"))


@contextmanager
def other_work(processes: int) -> Iterator[None]:
    """Processes that compute without end, beside what is measured."""
    working = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in working:
            process.kill()


def processor() -> str:
    try:
        named = [
            line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
        ]
        return f"{len(named)} cores of {named[0]}"
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=int, nargs="+", help="particles per image")
    parser.add_argument("--epochs", type=int, default=3, help="epochs measured in a process, after one that warms up")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each contender")
    parser.add_argument("--share", type=float, default=1.0, help="of an epoch's batches")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"), help="vaecli's and the floor's")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, help="these contenders")
    parser.add_argument("--beside", type=int, default=0, help="processes that compute beside what is measured")
    parser.add_argument("--sweep", action="store_true", help="vaecli alone, for many k")
    parser.add_argument("--run", choices=CONTENDERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run(given.run, given.k[0], given.epochs, given.share, given.precision)
        return
    names = [name for name in CONTENDERS if name not in ("numpyro", "pythae") or importlib.util.find_spec(name)]
    names = ["vaecli"] if given.sweep else given.only or names
    precision = resolved(given.precision)
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        title=f"{processor()}, Python {platform.python_version()}, {precision}"
        + (f", beside {given.beside} busy" if given.beside else ""),
        title_justify="left",
    )
    for heading in ("k", "", "s per epoch", "images per second", "peak GB", "x floor", "x dataloader"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for k in given.k or ([1, 5, 10, 50, 500] if given.sweep else [1, 10]):
        share = min(given.share, 50 / k) if given.sweep else given.share
        with other_work(given.beside):
            rounds = [{name: measured(name, k, given.epochs, share, precision) for name in names} for _ in range(given.rounds)]
        least = {name: min(result[name] for result in rounds) for name in names}
        for name, (seconds, peak) in least.items():
            ratios = [f"{seconds / least[other][0]:.2f}" if other in least else "" for other in ("floor", "dataloader")]
            table.add_row(str(k), name, f"{seconds:.2f}", f"{IMAGES / seconds:,.0f}", f"{peak:.2f}", *ratios)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
