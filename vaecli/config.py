"""A run's settings: what they are, which values go together, and their form as JSON.

Every setting is a field of `Config` whose metadata tells its help text, its bounds and the group it stands in; the options
of ``vaecli train`` are made from these fields, so that a setting is written down once.
"""

import json
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin

from vaecli import registry
from vaecli.errors import UsageError, VaecliError, reason
from vaecli.provenance import PROVENANCE, Provenance
from vaecli.reading import read_file

BINARIZE = ("threshold", "stochastic", "none")
LABELS = ("none", "full", "partial")
LABEL_FRACTION = 0.5
MAX_EPOCHS = 100_000
MAX_CONFIG = 1 << 16
"""Bytes of a ``config.json`` that are read; one of all settings has a hundredth."""


def setting(default: Any, help: str, group: str, *, low: float | None = None, high: float | None = None,
            family: str | None = None, choices: tuple[str, ...] | None = None) -> Any:  # fmt: skip
    """A field of `Config`.

    Args:
        default: its default; None where the default depends on other settings.
        help: one line for ``--help``.
        group: the heading it stands under in ``--help``.
        low: the least value allowed.
        high: the greatest value allowed; for a list, of each of its numbers.
        family: the registry family that it names a member of, or whose members own it.
        choices: the words allowed, where it is not a name of the registry.
    """
    metadata = {"help": help, "group": group, "low": low, "high": high, "family": family, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides what a run computes; no names, paths, dates or devices.

    Settings that belong to one member of the registry (``k`` to an objective, ``hidden`` to an architecture) are None
    where the chosen member does not have them, and get that member's default where they are not given.

    Raises:
        UsageError: a value is out of bounds, or two values do not go together.
    """

    dataset: str = setting("mnist", "Data set.", "Data", family="dataset")
    binarize: str | None = setting(
        None, "Grey pixels to black or white: at 127.5, drawn afresh each epoch, or left grey.", "Data", choices=BINARIZE
    )
    labels: str = setting("none", "Labels that encoder and decoder see.", "Data", choices=LABELS)
    label_fraction: float | None = setting(
        None, "With --labels partial: the share of the training images that keep their label.", "Data", low=0, high=1
    )
    limit: int | None = setting(None, "Train on the first N images only.", "Data", low=1, high=2_000_000)
    latent_dim: int = setting(2, "Size of the latent space.", "Model", low=1, high=4096)
    arch: str = setting("mlp", "Architecture of encoder and decoder.", "Model", family="arch")
    hidden: tuple[int, ...] | None = setting(
        None, "Units of the hidden layers, encoder's order; the decoder mirrors them.", "Model", low=1, high=16384
    )
    channels: tuple[int, ...] | None = setting(
        None, "Channels of the convolutions, each of which halves the image's side.", "Model", low=1, high=1024
    )
    likelihood: str = setting("bernoulli", "Distribution of a pixel given the latents.", "Model", family="likelihood")
    init: str = setting(
        "torch", "The weights at the start; torch: PyTorch's default; glorot: the IWAE paper's, biases 0.", "Model",
        choices=("torch", "glorot"),
    )  # fmt: skip
    init_bias: str = setting(
        "random", "The decoder's output bias at the start; data: the mean training image's.", "Model", choices=("random", "data")
    )
    objective: str = setting("elbo", "What is maximised.", "Objective", family="objective")
    k: int | None = setting(None, "Particles (latent samples) an image.", "Objective", low=1, high=100_000)
    kl_weight: float | None = setting(None, "Weight of the KL divergence (beta-VAE).", "Objective", low=0, high=1e6)
    alpha: float | None = setting(
        None, "Skew: 0 is KL(posterior || prior), 1 is KL(prior || posterior).", "Objective", low=0, high=1
    )
    epochs: int = setting(5, "Passes over the training images.", "Training", low=1, high=MAX_EPOCHS)
    batch_size: int = setting(200, "Images a step.", "Training", low=1, high=1_000_000)
    lr: float = setting(1e-3, "Adam's learning rate.", "Training", low=1e-12, high=1e6)
    lr_schedule: str = setting(
        "constant", "How the learning rate falls; burda: the eight stages of 3280 epochs of the IWAE paper.", "Training",
        choices=("constant", "cosine", "burda"),
    )  # fmt: skip
    adam_eps: float = setting(1e-8, "Adam's epsilon; the IWAE paper has 1e-4.", "Training", low=1e-12, high=1)
    precision: str = setting(
        "auto", "Matrix products while training; auto: the faster of the two here.", "Training",
        choices=("auto", "fp32", "bf16"),
    )  # fmt: skip
    seed: int = setting(0, "Seed of weights, order and noise.", "Training", low=0, high=2**63 - 1)

    def __post_init__(self) -> None:
        """Checks every value, then fills in what depends on others."""
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None or each.default is not None:
                object.__setattr__(self, each.name, _checked(each, value))
        for family in registry.REGISTRY:
            self._fill_options(family)
        self._fill_binarize()
        self._fill_label_fraction()

    def _fill_options(self, family: str) -> None:
        chosen = getattr(self, family)
        options = registry.find(family, chosen).options
        owned = {name for member in registry.REGISTRY[family].values() for name in member.options}
        for name in owned:
            if getattr(self, name) is None:
                object.__setattr__(self, name, options.get(name))
            elif name not in options:
                having = [other for other, member in registry.REGISTRY[family].items() if name in member.options]
                raise UsageError(
                    f"{flag(name)} with --{family} {chosen}: {chosen} has no such option, expected it only with "
                    f"--{family} {' or '.join(having)}; leave {flag(name)} out"
                )

    def _fill_binarize(self) -> None:
        allowed = registry.find("likelihood", self.likelihood).binarize
        if self.binarize is None:
            object.__setattr__(self, "binarize", allowed[0])
        elif self.binarize not in allowed:
            pixels = "leaves the pixels grey" if self.binarize == "none" else "makes every pixel 0 or 1"
            others = [name for name, member in registry.REGISTRY["likelihood"].items() if self.binarize in member.binarize]
            instead = f" or --likelihood {' or '.join(others)}" if others else ""
            raise UsageError(
                f"--binarize {self.binarize} with --likelihood {self.likelihood}: it {pixels}, which {self.likelihood} is no "
                f"distribution over; expected --binarize {' or '.join(allowed)}{instead}"
            )

    def _fill_label_fraction(self) -> None:
        if self.labels == "partial" and self.label_fraction is None:
            object.__setattr__(self, "label_fraction", LABEL_FRACTION)
        elif self.labels != "partial" and self.label_fraction is not None:
            raise UsageError(
                f"--label-fraction {self.label_fraction:g} with --labels {self.labels}: expected it only with --labels partial"
            )

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values, without those that do not apply."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value is not None}

    @staticmethod
    def from_json(values: object) -> "Config":
        """The settings that `to_json` gave.

        Raises:
            UsageError: `values` is no such object, or a setting is unknown, of the wrong type or not allowed.
        """
        if not isinstance(values, dict):
            raise UsageError(f"found {type(values).__name__}, expected a JSON object of settings")
        known = [each.name for each in fields(Config)]
        for name in values:
            if name not in known:
                raise UsageError(registry.unknown(f"the setting {str(name)[:40]!r}", str(name), known))
        return Config(**values)

    @property
    def run_name(self) -> str:
        """`name_for` the data set."""
        return self.name_for(self.dataset)

    def name_for(self, data: str) -> str:
        """A folder name that tells the settings apart: `data`, latent size, objective, then whatever is not the default."""
        parts = [data, f"z{self.latent_dim}", self.objective]
        parts += [f"k{self.k}"] if self.k not in (None, 1) else []
        plain = Config(dataset=self.dataset, latent_dim=self.latent_dim, objective=self.objective, k=self.k,
                       arch=self.arch, likelihood=self.likelihood)  # fmt: skip
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in ("arch", "likelihood"):
                parts += [value] if value != each.default else []
            elif value != getattr(plain, each.name):
                parts.append(_short(each.name, value))
        return "-".join(parts)


def kind_of(each: "Field[Any]") -> type:
    """What a setting's values are: int, float, str or tuple (of whole numbers)."""
    first = (get_args(each.type) or (each.type,))[0]
    kind: type = get_origin(first) or first
    return kind


def flag(name: str) -> str:
    """The option of a setting: ``latent_dim`` to ``--latent-dim``."""
    return "--" + name.replace("_", "-")


def read_config(path: Path) -> tuple[dict[str, Any], Provenance | None]:
    """The settings in a ``config.json``, unchecked against each other (options on the command line may change them).

    Returns:
        The settings; and where the run's numbers come from, if the file says it.

    Raises:
        UsageError: it cannot be read or is not such a file.
    """
    try:
        values = json.loads(read_file(path, MAX_CONFIG))
        made = values.pop(PROVENANCE, None) if isinstance(values, dict) else None
        return Config.from_json(values).to_json(), None if made is None else Provenance.from_json(made)
    except OSError as error:
        raise UsageError(f"--config {path}: {reason(error)}; expected the config.json of a run") from None
    except (ValueError, RecursionError):
        raise UsageError(f"--config {path}: found no JSON, expected the config.json of a run") from None
    except VaecliError as error:
        raise UsageError(f"--config {path}: {error}") from None


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings changed by others; where another member of a family is chosen, the options of the old one go with it."""
    kept = dict(base)
    for family, members in registry.REGISTRY.items():
        if changes.get(family, base.get(family)) != base.get(family):
            dropped = {name for member in members.values() for name in member.options}
            dropped |= {"binarize"} if family == "likelihood" else set()
            kept = {name: value for name, value in kept.items() if name not in dropped}
    return kept | dict(changes)


def _checked(each: "Field[Any]", value: Any) -> Any:
    """The value in its field's own type.

    Raises:
        UsageError: it is of another type, out of bounds, or not among the names allowed.
    """
    kind, rule = kind_of(each), each.metadata
    found = f"{flag(each.name)} {str(value)[:40]}"
    if kind is str:
        if not isinstance(value, str):
            raise UsageError(f"{found}: expected a word")
        allowed = rule["choices"] or registry.names(rule["family"])
        if value not in allowed:
            raise UsageError(registry.unknown(found, value, allowed))
        return value
    if kind is tuple:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= 16:
            raise UsageError(f"{found}: expected 1 to 16 whole numbers, such as {flag(each.name)} 200,200")
        return tuple(_number(found, item, whole=True, low=rule["low"], high=rule["high"]) for item in value)
    return _number(found, value, whole=kind is int, low=rule["low"], high=rule["high"])


def _number(found: str, value: Any, *, whole: bool, low: float, high: float) -> int | float:
    kind = "whole number" if whole else "number"
    right_type = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not right_type or not low <= value <= high:
        raise UsageError(f"{found}: expected a {kind} from {low:,} to {high:,}")
    return int(value) if whole else float(value)


def _short(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    initials = "".join(word[0] for word in name.split("_")) if "_" in name else {"epochs": "e", "limit": "n"}.get(name, name)
    numbers = "_".join(
        f"{item:g}" if isinstance(item, float) else str(item) for item in (value if isinstance(value, tuple) else (value,))
    )
    return f"{initials}{numbers}"
