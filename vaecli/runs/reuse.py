"""Runs that are there already: the one with given settings, by whatever name, and where a new one goes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vaecli.config import Config
from vaecli.errors import VaecliError
from vaecli.provenance import DataRecord
from vaecli.runs.find import CONFIG, FILES, MODEL, RUNS, read_config, read_log, runs_in

if TYPE_CHECKING:
    from vaecli.data.load import Source

Same = Callable[[Config, DataRecord], bool]
"""Whether the images that a run of these settings was made of are those that are wanted."""


def same_images(source: "Source") -> Same:
    """Whether a run is of the images of `source`, wherever they were read from."""
    return lambda config, data: (data.train, data.test) == (source.record.train, source.record.test)


def finished(configs: Sequence[Config], same: Same, root: Path = RUNS) -> dict[Config, Path]:
    """The folders of those runs that are trained to their end, by whatever name; all of the same images."""
    folders: dict[Config, Path] = {}
    for folder in sorted(runs_in(root)):
        config = config_in(folder, configs, same)
        if config and is_finished(folder, config) and (config not in folders or folder.name == config.run_name):
            folders[config] = folder
    return folders


def folder_for(config: Config, same: Same, root: Path = RUNS, name: str | None = None) -> Path:
    """Where to train a run: under the name of its settings, or that with a number where another run is."""
    name = name or config.run_name
    folder, number = root / name, 2
    while any((folder / file).exists() for file in FILES) and config_in(folder, [config], same) is None:
        folder = root / f"{name}-{number}"
        number += 1
    return folder


def config_in(folder: Path, configs: Sequence[Config], same: Same) -> Config | None:
    """The settings of the run in a folder, if it is one of these and of the same images."""
    try:
        settings, made = read_config(folder / CONFIG)
        config = Config(**settings)
    except VaecliError:
        return None
    return config if config in configs and (made is None or same(config, made.data)) else None


def is_finished(folder: Path, config: Config) -> bool:
    """Whether the run in a folder was trained for all its epochs."""
    try:
        return (folder / MODEL).is_file() and read_log(folder)[-1]["epoch"] == config.epochs
    except VaecliError:
        return False
