"""What public functions leave as it was in the process that calls them."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.helpers import ROOT

pytestmark = pytest.mark.system

STATE = """
import locale, logging, os, random, signal, sys, threading, warnings
import alembic.command, matplotlib, numpy, optuna, sqlalchemy, torch, torch.utils.tensorboard
import vaecli

def state():
    values, root = torch.full((300_000,), 1.2e-38), logging.getLogger()
    mask = os.umask(0)
    os.umask(mask)
    loggers = [root, *(logger for logger in root.manager.loggerDict.values() if isinstance(logger, logging.Logger))]
    return {
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "torch threads": torch.get_num_threads(),
        "denormal numbers": int((values / 2 > 0).sum()),  # of all threads that compute
        "torch": (torch.get_default_dtype(), torch.is_grad_enabled(), torch.is_inference_mode_enabled(),
                  torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()),
        "random": (random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()),
        "logging": sorted((logger.name, logger.level) for logger in loggers if logger.level or logger.handlers),
        "matplotlib": (dict(matplotlib.rcParams), "matplotlib.pyplot" in sys.modules),
        "warnings": list(map(str, warnings.filters)), "showwarning": warnings.showwarning,
        "environment": dict(os.environ), "folder": os.getcwd(), "umask": mask, "locale": locale.setlocale(locale.LC_ALL),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()}, "hook": sys.excepthook,
        "numpy": numpy.geterr(), "printing": torch._tensor_str.PRINT_OPTS.__dict__.copy(),
        "streams": (sys.stdout, sys.stderr), "switch": sys.getswitchinterval(), "limit": sys.getrecursionlimit(),
    }
"""

CALLS = {
    "import": "from pathlib import Path\nfrom vaecli.plotting import formats, grids, palette, panels, plots, search_plot\n"
    "from vaecli.plotting import thumbnails",
    "load_images": "digits = vaecli.load_images('mnist', 'test', limit=20)",
    "load": "run = vaecli.load('baseline')",
    "build": "from vaecli.model import build; build(vaecli.Config())",
    "resolve_device": "from vaecli.device import resolve_device; resolve_device('cpu')",
    "images": "train = run.images('train')",
    "encode": "vaecli.encode(run.model, digits)",
    "sample": "samples = vaecli.sample(run.model, 2)",
    "reconstruct": "vaecli.reconstruct(run.model, digits)",
    "between": "vaecli.between(run.model, digits[:1], digits[1:2], 3)",
    "measure": "vaecli.measure(run.model, digits, k=(5,), exact=False)",
    "inpaint": "vaecli.inpaint(run.model, digits[:1], train, starts=1, steps=5)",
    "train": "vaecli.train(vaecli.Config(epochs=1, limit=300), 'checkpoints/a')",
    "save": "run.save('checkpoints/saved')",
    "begin": "vaecli.train(vaecli.Config(epochs=1, limit=300), 'checkpoints/c', init=run, on_epoch=lambda row: row)",
    "search": "found = vaecli.search({'latent_dim': [2, 3], 'epochs': 1, 'limit': 200, 'validation': 100}, 'searched')",
    "save_search": "search_plot.save_search(Path('d.svg'), found)",
    "explore": "vaecli.explore([run], [digits])",
    "cloud": "from vaecli.analysis.latents import cloud; points = cloud(run.model, digits)",
    "save_clouds": "plots.save_clouds(Path('a.png'), [('a', points)])",
    "save_panels": "grids.save_panels(Path('b.png'), [[grids.Panel('b', samples.mean, 2, run.config.image_shape)]])",
    "save_thumbnails": "thumbnails.save_thumbnails(Path('c.pdf'), [('c', points, digits)])",
    "plot": "from matplotlib.figure import Figure; vaecli.plot.latents(run.model, digits, Figure().add_subplot())",
    "shown": "run._repr_html_(), digits._repr_html_(), samples._repr_png_()",
    "log": "vaecli.train(vaecli.Config(epochs=1, limit=300), 'checkpoints/logged', log='tensorboard')",
    "refused": """
try:
    vaecli.train(vaecli.Config(lr=1e6, epochs=1, limit=2000), 'checkpoints/b')
except vaecli.VaecliError:
    pass
""",
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What a fresh process with two threads prints after each call: the names of what changed."""
    folder = tmp_path_factory.mktemp("alone")
    shutil.copytree(ROOT / "checkpoints" / "baseline", folder / "checkpoints" / "baseline")
    lines = [STATE, "before = state()"]
    for name, call in CALLS.items():
        lines += [call, "after = state()", f"print({name!r}, *(name for name in after if after[name] != before[name]), sep=': ')"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", CALLS)
def test_a_call_leaves_the_process_as_it_was(name, printed):
    assert name in printed


@pytest.mark.parametrize("first", ["import vaecli", "import vaecli; vaecli.load('baseline')"])
def test_a_program_can_ask_for_numbers_without_denormals(first):
    """Such as 1e-40, below float32's normal range; half of 1.2e-38 is one."""
    lines = f"{first}; vaecli.configure_torch(); import torch; print(float(torch.tensor([1.2e-38]) / 2))"
    done = subprocess.run([sys.executable, "-c", lines], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "0.0\n"


@pytest.mark.parametrize("threads", ["1", "2"])
def test_training_makes_denormal_numbers_zero_in_every_thread_that_computes_and_in_no_other_code(threads):
    lines = """
import torch
from vaecli.threads import fast_arithmetic
values = torch.full((300_000,), 1.2e-38)
zeros = lambda: int((values / 2 == 0).sum())
before = zeros()
with fast_arithmetic():
    with fast_arithmetic():
        pass
    within = zeros()
print(before, within, zeros())
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": threads}
    done = subprocess.run([sys.executable, "-c", lines], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "0 300000 0\n"
