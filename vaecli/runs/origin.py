"""The run whose weights another run begins with: what it is, which settings fit it, and the model made of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from vaecli import registry
from vaecli.config import Config, default_of, merge, settings
from vaecli.data.images import Images
from vaecli.errors import CheckpointError, UsageError, format_value
from vaecli.model import VAE, build
from vaecli.processes import ALONE, Processes
from vaecli.provenance import MemberRecord, Origin
from vaecli.runs.find import MODEL, RUNS, find_checkpoint
from vaecli.runs.format import check_weights, digest_of_weights, weights_of
from vaecli.runs.run import Run, read_run

_STARTS = ("init", "init_bias")
"""Settings of weights that a run makes itself."""

_NAMED = 3
"""The most labels that a note names."""


@dataclass(frozen=True)
class Beginning:
    """The weights that a run begins with, and the run that they are of.

    Attributes:
        origin: the record of that run.
        config: its settings.
        class_names: the names of its images' labels.
        data_dir: the folder of its images; None for the data set's own place.
        weights: by name, on the CPU; None in a process that gets them from the first.
    """

    origin: Origin
    config: Config
    class_names: tuple[str, ...]
    data_dir: Path | None = None
    weights: dict[str, Tensor] | None = field(default=None, repr=False, compare=False)

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a run that begins with the weights: those given, and that run's of its model and its images.

        All others, such as those of training, get their defaults.
        """
        dataset = given.get("dataset", self.config.dataset)
        base = {"dataset": dataset, "binarize": self.config.binarize, "labels": self.config.labels}
        base |= {name: value for name, value in _shaping(self.config).items() if name != "labels"}
        if given.get("labels", self.config.labels) == "partial":
            base["label_fraction"] = self.config.label_fraction
        if registry.find("dataset", dataset).defaults.keys().isdisjoint({"colour"}):
            del base["colour"]
        return {name: value for name, value in merge(base, given).items() if value is not None}

    def check(self, config: Config) -> None:
        """Refuses settings that the weights do not fit.

        Raises:
            UsageError: the settings are of another model or of other images.
        """
        needed, found = _shaping(self.config), _shaping(config)
        open_yet = () if config.has_shape else ("image_size", "colour")  # the images say them, and `model` looks at these
        differing = [setting for setting in needed if needed[setting] != found[setting] and setting not in open_yet]
        for family in registry.REGISTRY:
            if family in differing:  # then its options differ too
                differing = [name for name in differing if name not in {option.name for option in registry.options_of(family)}]
        if differing:
            raise UsageError(
                f"{{from}}: its weights need {_spelled(needed, differing)}, found {_spelled(found, differing)}; expected settings "
                "that they fit, or a run without {from=}", **{"from": self.origin.name},
            )  # fmt: skip

    def other_starts(self, config: Config) -> dict[str, Any]:
        """The settings of weights that a run makes itself, where they are neither the default nor the other run's."""
        values = {start: getattr(config, start) for start in _STARTS}
        usual = {start: (default_of(start, config.dataset), getattr(self.config, start)) for start in _STARTS}
        return {start: value for start, value in values.items() if value not in usual[start]}

    def model(self, config: Config, images: Images) -> VAE:
        """A model with the weights, for these training images, on the CPU.

        Raises:
            UsageError: the images are not of its shape, or have another number of labels.
        """
        model = build(replace(config, init_bias="random"), images)
        if model.labels and model.labels != len(self.class_names):
            raise UsageError(
                f"{{from}}: its model sees {len(self.class_names)} labels, and the images have {model.labels}; expected as many",
                **{"from": self.origin.name},
            )
        if self.weights is not None:
            model.load_state_dict(self.weights)
        return model

    def told(self, images: Images) -> str:
        """What the run begins with, in words."""
        epochs = f"{self.origin.epochs:,} epoch{'' if self.origin.epochs == 1 else 's'}"
        text = f"Begin with the weights of {self.origin.folder}, after {epochs}"
        if self.config.labels == "none" or images.class_names == self.class_names:
            return text
        before, now = (
            ", ".join(names[:_NAMED]) + ", ..." * (len(names) > _NAMED) for names in (self.class_names, images.class_names)
        )
        return f"{text}; its labels are {before}, now {now}: matched by their order"


def _shaping(config: Config) -> dict[str, Any]:
    """The settings that decide whether weights fit, by name; of labels only whether a model sees them."""
    names = [field.name for field in settings() if field.metadata["group"] == "Model" and field.name not in _STARTS]
    values = {name: getattr(config, name) for name in ("image_size", *names)}
    return values | {"colour": config.colour or "grey", "labels": "none" if config.labels == "none" else "full"}


def _spelled(values: Mapping[str, Any], names: list[str]) -> str:
    return " ".join(f"{{{name}={format_value(values[name])}}}" for name in names if values[name] is not None)


def begin_with(run: Run | Path | str, processes: Processes = ALONE) -> Beginning:
    """The weights of a run, which the first process reads for all.

    Args:
        run: a run, with the weights that its model has now; or its name under ``checkpoints/``, folder or checkpoint file.
        processes: the processes that share the run that begins.

    Raises:
        CheckpointError: there is no such run, or it cannot be read.
        UsageError: the weights of the run's model are not those of its settings, or no finite numbers.
    """
    own: Beginning | None = None
    with processes.agreeing():
        if processes.is_main:
            own = _of(run, run.path / MODEL) if isinstance(run, Run) else _read(find_checkpoint(str(run), RUNS)[0])
    first = processes.all_gather(own and _to_json(own))[0]
    return own or _from_json(first)


def check_starts(origin: Origin, given: Mapping[str, Any]) -> None:
    """Refuses settings of weights that a run makes itself, where it begins with those of another.

    Raises:
        UsageError: one is given.
    """
    for start in _STARTS:
        if start in given:
            raise UsageError(
                f"{{{start}}} with {{from}}: it has no effect on weights that are there; leave {{{start}=}} out",
                **{"from": origin.name, start: given[start]},
            )


def recalled(origin: Origin) -> Beginning:
    """The weights that a run began with, by its record.

    Raises:
        CheckpointError: they are gone, or have changed.
    """
    other = "; begin with other weights by {from=RUN}, without {resume=}"
    try:
        beginning = _read(Path(origin.file))
    except CheckpointError as error:
        raise error.reworded(CheckpointError, before="the weights that the run begins with: ", after=other) from None
    if beginning.origin.sha256 != origin.sha256:
        raise CheckpointError(
            f"{origin.file}: its weights have changed since the run began with them: they have SHA-256 "
            f"{beginning.origin.sha256[:12]}..., expected {origin.sha256[:12]}...{other}"
        )
    return beginning


def _read(file: Path) -> Beginning:
    return _of(read_run(file), file)


def _of(run: Run, file: Path) -> Beginning:
    weights = weights_of(run.model)
    check_weights(str(run.path), run.config, len(run.class_names), weights)
    origin = Origin(str(file.resolve()), digest_of_weights(weights), int(run.results.get("epoch", 0)))
    folder = run.provenance.data.folder if run.provenance else None
    return Beginning(origin, run.config, run.class_names, None if folder is None else Path(folder), weights)


def _to_json(beginning: Beginning) -> dict[str, Any]:
    return {
        "origin": beginning.origin.to_json(),
        "config": beginning.config.to_json(),
        "absent": [asdict(it) for it in beginning.config.absent],
        "class_names": list(beginning.class_names),
        "data_dir": None if beginning.data_dir is None else str(beginning.data_dir),
    }


def _from_json(value: dict[str, Any]) -> Beginning:
    folder = value["data_dir"]
    absent = tuple(MemberRecord(**it) for it in value["absent"])
    return Beginning(
        Origin(**value["origin"]),
        Config(**value["config"], absent=absent),
        tuple(value["class_names"]),
        None if folder is None else Path(folder),
    )
