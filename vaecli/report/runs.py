"""The runs that figures need: those on disk, the folders of the others, and how long they train."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from vaecli.config import Config
from vaecli.data.load import load_images
from vaecli.errors import DataError, VaecliError
from vaecli.report.definitions import IWAE10, Z2, Figure, Settings
from vaecli.runs.find import CONFIG, FILES, MODEL, RUNS, read_config, read_log, runs_in

EXPLORED = (Z2, IWAE10)
"""The runs whose latent spaces the page lets its reader explore."""


def config_of(settings: Settings, change: Settings) -> Config:
    """The settings of a run, with those in `change` instead of its own."""
    return Config(**{**settings, **change})


def configs_of(figures: Sequence[Figure], change: Settings, explorer: bool) -> list[Config]:
    """The settings of the runs that figures and the explorer need, each once."""
    needed = [settings for figure in figures for settings in (*figure.trains, *figure.also)]
    return list(dict.fromkeys(config_of(settings, change) for settings in (*needed, *(EXPLORED if explorer else ()))))


def finished(configs: Sequence[Config], root: Path = RUNS) -> dict[Config, Path]:
    """The folders of the runs that are trained already, under any name."""
    folders: dict[Config, Path] = {}
    for folder in sorted(runs_in(root)):
        config = _config_in(folder, configs)
        if config and _is_finished(folder, config) and (config not in folders or folder.name == config.run_name):
            folders[config] = folder
    return folders


def folder_for(config: Config, root: Path = RUNS) -> Path:
    """The folder to train a run in: the name of its settings, with a number if another run is there."""
    folder, number = root / config.run_name, 2
    while any((folder / name).exists() for name in FILES) and _config_in(folder, [config]) is None:
        folder = root / f"{config.run_name}-{number}"
        number += 1
    return folder


def epochs_of(config: Config) -> float:
    """The time that a run trains, roughly, in epochs of the baseline."""
    return config.epochs * (0.6 + 0.4 * (config.k or 1)) * (6 if config.arch == "conv" else 1)


def needs_fashion(figure: Figure) -> bool:
    """Whether a figure is of Fashion-MNIST, which does not come with vaecli."""
    return any(settings.get("dataset") == "fashion-mnist" for settings in figure.trains)


def missing_data(figures: Sequence[Figure]) -> list[str]:
    """A sentence on the figures that need Fashion-MNIST if it is not there, and how to get it; else nothing."""
    numbers = [str(figure.number) for figure in figures if needs_fashion(figure)]
    if not numbers:
        return []
    try:
        load_images("fashion-mnist", "test", limit=1)
    except DataError as error:
        return [f"figures {' and '.join(numbers)} are not drawn: {error}"]
    return []


def _config_in(folder: Path, configs: Sequence[Config]) -> Config | None:
    """The settings of the run in a folder, if it is one of these, and of the data set's own images."""
    try:
        settings, provenance = read_config(folder / CONFIG)
        config = Config(**settings)
        own = config in configs and (provenance is None or provenance.data.test == _test_digest(config.dataset))
    except VaecliError:
        return None
    return config if own else None


def _is_finished(folder: Path, config: Config) -> bool:
    try:
        return (folder / MODEL).is_file() and len(read_log(folder)) == config.epochs
    except VaecliError:
        return False


@cache
def _test_digest(dataset: str) -> str:
    return load_images(dataset, "test").digest
