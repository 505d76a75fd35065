"""Runs that are there already: the one with given settings, by whatever name, and where a new one goes."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vaecli.config import Config
from vaecli.errors import VaecliError
from vaecli.provenance import DataRecord, Provenance
from vaecli.runs.find import CONFIG, FILES, MODEL, RUNS, is_over, read_config, read_log

if TYPE_CHECKING:
    from vaecli.data.load import Source

Same = Callable[[Config, DataRecord], bool]
"""Whether the images that a run of these settings was made of are those that are wanted."""


def same_images(source: "Source") -> Same:
    """Whether a run is of the images of `source`, wherever they were read from."""
    return lambda config, data: (data.train, data.test) == (source.record.train, source.record.test)


class RunIndex:
    """The runs under a folder by their settings. A look reads those only that are new; what is found is read again.

    Args:
        root: the folder that holds runs.
    """

    def __init__(self, root: Path = RUNS) -> None:
        self.root = root
        self._configs: dict[str, Config] = {}
        self._names: dict[Config, set[str]] = {}

    def finished(self, config: Config, same: Same) -> Path | None:
        """The folder of the run with these settings that is trained to its end, by whatever name; None where there is none."""
        return next((folder for folder in self.of(config, same) if is_finished(folder, config)), None)

    def of(self, config: Config, same: Same) -> Iterator[Path]:
        """The folders of the runs with these settings, by whatever name: first that of the settings."""
        self._update()
        names = sorted(self._names.get(config, ()), key=lambda name: (name != config.run_name, name))
        return (folder for name in names if is_run_of(folder := self.root / name, config, same))

    def _update(self) -> None:
        there = {folder.name for folder in self.root.iterdir()} if self.root.is_dir() else set()
        for name in self._configs.keys() - there:
            self._names[self._configs.pop(name)].discard(name)
        for name in there - self._configs.keys():
            config, _ = _config_of(self.root / name)
            if config:
                self._configs[name] = config
                self._names.setdefault(config, set()).add(name)


def finished(configs: Sequence[Config], same: Same, root: Path = RUNS) -> dict[Config, Path]:
    """The folders of those runs that are trained to their end, by whatever name; all of the same images."""
    runs = RunIndex(root)
    return {config: folder for config in configs if (folder := runs.finished(config, same))}


def folder_for(config: Config, same: Same, root: Path = RUNS, name: str | None = None) -> Path:
    """Where to train a run: under the name of its settings, or that with a number where another run is."""
    name = name or config.run_name
    folder, number = root / name, 2
    while any((folder / file).exists() for file in FILES) and not is_run_of(folder, config, same):
        folder = root / f"{name}-{number}"
        number += 1
    return folder


def is_run_of(folder: Path, config: Config, same: Same) -> bool:
    """Whether the run in a folder has these settings, is of the same images, and began with weights of its own."""
    found, made = _config_of(folder)
    return found == config and (made is None or (made.started_from is None and same(config, made.data)))


def _config_of(folder: Path) -> tuple[Config | None, Provenance | None]:
    """The settings of the run in a folder, and its provenance; None where there is no run."""
    try:
        settings, made = read_config(folder / CONFIG)
        return Config(**settings, absent=made.members if made else ()), made
    except VaecliError:
        return None, None


def is_finished(folder: Path, config: Config) -> bool:
    """Whether the run in a folder was trained for all its epochs, or until its `patience` ended."""
    try:
        return (folder / MODEL).is_file() and is_over(read_log(folder), config)
    except VaecliError:
        return False
