"""The runs that figures need: those on disk, the folders of the others, and how long they train."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vaecli.config import Config
from vaecli.data.load import Read, Source
from vaecli.errors import DataError
from vaecli.provenance import DataRecord
from vaecli.report.definitions import IWAE10, Z2, Figure, Settings
from vaecli.runs import reuse
from vaecli.runs.find import RUNS

EXPLORED = (Z2, IWAE10)
"""The runs whose latent spaces the page lets its reader explore."""


def config_of(settings: Settings, change: Settings) -> Config:
    """The settings of a run, with those in `change` instead of its own."""
    return Config(**{**settings, **change})


def configs_of(figures: Sequence[Figure[Any]], change: Settings, explorer: bool, quick: bool) -> list[Config]:
    """The settings of the runs that figures and the explorer need, each once."""
    needed = [settings for figure in figures for of_seed in figure.runs(quick) for settings in of_seed]
    return list(dict.fromkeys(config_of(settings, change) for settings in (*needed, *(EXPLORED if explorer else ()))))


def finished(configs: Sequence[Config], read: Read, root: Path = RUNS) -> dict[Config, Path]:
    """The folders of the runs that are trained already, under any name, on the images that `read` gives."""
    return reuse.finished(configs, _same_images(read), root)


def folder_for(config: Config, read: Read, root: Path = RUNS) -> Path:
    """The folder to train a run in: the name of its settings, with a number if another run is there."""
    return reuse.folder_for(config, _same_images(read), root)


def epochs_of(config: Config) -> float:
    """The time that a run trains, roughly, in epochs of the baseline."""
    return config.number("epochs") * (0.6 + 0.4 * (config.k or 1)) * (6 if config.arch == "conv" else 1)


def needs_fashion(figure: Figure[Any]) -> bool:
    """Whether a figure is of Fashion-MNIST, which does not come with vaecli."""
    return any(settings.get("dataset") == "fashion-mnist" for settings in figure.trains)


def missing_data(figures: Sequence[Figure[Any]], read: Read) -> list[str]:
    """A sentence on the figures that need Fashion-MNIST if it is not there, and how to get it; else nothing."""
    numbers = [str(figure.number) for figure in figures if needs_fashion(figure)]
    if not numbers:
        return []
    try:
        Source(Config(dataset="fashion-mnist"), None, read).images("test")
    except DataError as error:
        return [f"figures {' and '.join(numbers)} are not drawn: {error}"]
    return []


def _same_images(read: Read) -> Callable[[Config, DataRecord], bool]:
    """Says whether images are the data set's own, those that `read` gives."""
    return lambda config, data: data.test == Source(config, None, read).images("test").digest
