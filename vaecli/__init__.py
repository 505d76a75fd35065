"""Variational autoencoders: train, load, measure and look into them.

    import vaecli

    run = vaecli.load("baseline")
    digits = vaecli.load_images("mnist", "test", limit=1000)
    vaecli.measure(run.model, digits, k=(50,), exact=True)
    run = vaecli.train(vaecli.Config(latent_dim=3, objective="iwae", k=10), "checkpoints/mine")

The names below are imported when they are first used, so that ``import vaecli`` does not wait for PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vaecli import plot
    from vaecli.analysis.exporting import export
    from vaecli.analysis.inpainting import inpaint
    from vaecli.analysis.interpolation import between
    from vaecli.analysis.sampling import reconstruct, sample
    from vaecli.analysis.scores import auroc, score
    from vaecli.config import Config
    from vaecli.data.load import load_images
    from vaecli.errors import VaecliError
    from vaecli.evaluation.encode import encode
    from vaecli.evaluation.measure import measure
    from vaecli.evaluation.schedule import AIS
    from vaecli.explorer.page import explore
    from vaecli.model import VAE
    from vaecli.plugins import load_plugin, register
    from vaecli.registry import Option
    from vaecli.runs.run import Run, load
    from vaecli.runs.train import train
    from vaecli.studies.run_plan import search
    from vaecli.studies.space import Range
    from vaecli.threads import configure_torch

_HOMES = {
    "AIS": "vaecli.evaluation.schedule",
    "Config": "vaecli.config",
    "Option": "vaecli.registry",
    "Range": "vaecli.studies.space",
    "Run": "vaecli.runs.run",
    "VAE": "vaecli.model",
    "VaecliError": "vaecli.errors",
    "auroc": "vaecli.analysis.scores",
    "between": "vaecli.analysis.interpolation",
    "configure_torch": "vaecli.threads",
    "encode": "vaecli.evaluation.encode",
    "explore": "vaecli.explorer.page",
    "export": "vaecli.analysis.exporting",
    "inpaint": "vaecli.analysis.inpainting",
    "load": "vaecli.runs.run",
    "load_images": "vaecli.data.load",
    "load_plugin": "vaecli.plugins",
    "measure": "vaecli.evaluation.measure",
    "reconstruct": "vaecli.analysis.sampling",
    "register": "vaecli.plugins",
    "sample": "vaecli.analysis.sampling",
    "score": "vaecli.analysis.scores",
    "search": "vaecli.studies.run_plan",
    "train": "vaecli.runs.train",
}

__all__ = [
    "AIS", "VAE", "Config", "Option", "Range", "Run", "VaecliError", "auroc", "between", "configure_torch", "encode", "explore",
    "export", "inpaint", "load", "load_images", "load_plugin", "measure", "plot", "reconstruct", "register", "sample", "score",
    "search", "train",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name == "plot":
        return import_module("vaecli.plot")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'vaecli' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
