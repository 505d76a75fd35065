"""The settings of a run: their defaults and bounds, which values go together, and their form as JSON.

Every setting is a field of `Config` whose metadata has its help text, its bounds and the group it stands in. A setting that belongs
to members of the registry takes them from the registry's `Option`, and has only its type here. An option of a plugin's member is a
setting like the others: an argument of `Config`, an attribute, a key in JSON.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any, Literal

from vaecli import plugins, registry
from vaecli.arguments import wrong
from vaecli.errors import UsageError
from vaecli.image_shape import COLOURS, ImageShape
from vaecli.provenance import MemberRecord
from vaecli.settings import checked, owned, plugin_settings, setting, short_name

BINARIZE = ("threshold", "stochastic", "none")
LABELS = ("none", "full", "partial")
LABEL_FRACTION = 0.5
MAX_EPOCHS = 100_000


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides what a run computes; no names, paths, dates or devices.

    Settings that belong to one member of the registry (``k`` to an objective, ``hidden`` to an architecture) are None where the
    chosen member does not have them, and get that member's default where they are not given.

    Attributes:
        plugin_options: options that only members of plugins have, and their values: made of arguments under their names.
        absent: members of plugins that are not loaded, which the settings of a run may name.

    Raises:
        UsageError: there is no such setting, a value is out of bounds, or two values do not go together.

    Example:
        >>> vaecli.Config(latent_dim=3, objective="iwae").k
        5
    """

    dataset: str = setting("mnist", "Data set.", "Data", family="dataset")
    image_size: int | None = owned(registry.IMAGE_SIZE, "Data")
    colour: str | None = owned(registry.COLOUR, "Data")
    pixel_range: tuple[float, float] | None = owned(registry.PIXEL_RANGE, "Data")
    binarize: str | None = setting(
        None, "Grey pixels to black or white: at 127.5, drawn afresh each epoch, or left grey.", "Data", choices=BINARIZE
    )
    labels: str = setting("none", "Labels that encoder and decoder see.", "Data", choices=LABELS)
    label_fraction: float | None = setting(
        None, "With partial labels: the share of the training images that keep theirs.", "Data", low=0, high=1
    )
    limit: int | None = setting(None, "Train on the first N images only.", "Data", low=1, high=2_000_000)
    validation: int | None = setting(
        None, "Hold out the last N training images, and measure on them instead of the test images.", "Data", low=1, high=2_000_000
    )
    latent_dim: int = setting(2, "Size of the latent space.", "Model", low=1, high=4096)
    arch: str = setting("mlp", "Architecture of encoder and decoder.", "Model", family="arch")
    hidden: tuple[int, ...] | None = owned(registry.HIDDEN, "Model")
    channels: tuple[int, ...] | None = owned(registry.CHANNELS, "Model")
    blocks: int | None = owned(registry.BLOCKS, "Model")
    prior: str = setting("normal", "Distribution of the latents.", "Model", family="prior")
    components: int | None = owned(registry.COMPONENTS, "Model")
    flow: str | None = owned(registry.FLOW, "Model")
    prior_transforms: int | None = owned(registry.PRIOR_TRANSFORMS, "Model")
    prior_hidden: tuple[int, ...] | None = owned(registry.PRIOR_HIDDEN, "Model")
    posterior: str = setting("diagonal", "Distribution of the latents given an image.", "Model", family="posterior")
    posterior_transforms: int | None = owned(registry.POSTERIOR_TRANSFORMS, "Model")
    posterior_hidden: tuple[int, ...] | None = owned(registry.POSTERIOR_HIDDEN, "Model")
    second_latents: int | None = owned(registry.SECOND_LATENTS, "Model")
    likelihood: str | None = setting(None, "Distribution of a pixel given the latents.", "Model", family="likelihood")
    init: str = setting(
        "torch", "The weights at the start; torch: PyTorch's default; glorot: the IWAE paper's, biases 0.", "Model",
        choices=("torch", "glorot"),
    )  # fmt: skip
    init_bias: str = setting(
        "data", "The decoder's output bias at the start; data: the mean training image's (and of 256 levels the scale); random: "
        "PyTorch's default.", "Model", choices=("data", "random"),
    )  # fmt: skip
    objective: str = setting("elbo", "What is maximised.", "Objective", family="objective")
    k: int | None = owned(registry.K, "Objective")
    kl_weight: float | None = owned(registry.KL_WEIGHT, "Objective")
    kl_warmup: float | None = owned(registry.KL_WARMUP, "Objective")
    free_bits: float | None = owned(registry.FREE_BITS, "Objective")
    groups: int | None = owned(registry.GROUPS, "Objective")
    elbo_weight: float | None = owned(registry.ELBO_WEIGHT, "Objective")
    order: float | None = owned(registry.ORDER, "Objective")
    tc_weight: float | None = owned(registry.TC_WEIGHT, "Objective")
    mmd_weight: float | None = owned(registry.MMD_WEIGHT, "Objective")
    alpha: float | None = owned(registry.ALPHA, "Objective")
    epochs: int | Literal["auto"] | None = setting(
        None, "Passes over the training images; auto: about 3,000 steps, 5 epochs at least.", "Training", low=1, high=MAX_EPOCHS,
        auto=True, usual=5,
    )  # fmt: skip
    batch_size: int | Literal["auto"] | None = setting(
        None, "Images per step; auto: a hundredth of the training images, from 16 to 200.", "Training", low=1, high=1_000_000,
        auto=True, usual=200,
    )  # fmt: skip
    measure_every: int | Literal["auto"] | None = setting(
        None, "Epochs between two measurements, after which the run is saved; auto: about 100 steps.", "Training",
        low=1, high=MAX_EPOCHS, auto=True,
    )  # fmt: skip
    shuffle: str | None = setting(
        None, "Order of the images in an epoch; blocks: 64 parts of the file at a time, for more images than fit in memory; "
        "auto: by the memory.", "Training", choices=("auto", "all", "blocks"), usual="all",
    )  # fmt: skip
    test_limit: int | None = setting(
        None, "Measure on a random N of the test or validation images after each epoch; after the last also on all.", "Training",
        low=1, high=2_000_000,
    )  # fmt: skip
    patience: int | None = setting(
        None, "Stop after N measurements without a better bound of the --validation images; the best epoch's weights are kept.",
        "Training", low=1, high=MAX_EPOCHS,
    )  # fmt: skip
    lr: float = setting(1e-3, "Adam's learning rate.", "Training", low=1e-12, high=1e6)
    lr_schedule: str | None = setting(
        None, "How the learning rate falls; burda: the eight stages of 3280 epochs of the IWAE paper.", "Training",
        choices=("constant", "cosine", "burda"), usual="constant",
    )  # fmt: skip
    lr_warmup: int | None = setting(
        None, "Steps at the start over which the learning rate rises from 0.", "Training", low=0, high=1_000_000_000, usual=0,
    )  # fmt: skip
    clip_norm: float | None = setting(
        None, "The largest norm of a step's gradient, in nats per image; a larger one is scaled down to it.", "Training",
        low=1e-6, high=1e12,
    )  # fmt: skip
    adam_eps: float = setting(1e-8, "Adam's epsilon; the IWAE paper has 1e-4.", "Training", low=1e-12, high=1)
    precision: str = setting(
        "auto", "Matrix products while training; auto: the faster of the two here.", "Training",
        choices=("auto", "fp32", "bf16"),
    )  # fmt: skip
    seed: int = setting(0, "Seed of weights, order and noise.", "Training", low=0, high=2**63 - 1)

    plugin_options: tuple[tuple[str, Any], ...] = ()
    absent: tuple[MemberRecord, ...] = dataclasses.field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        """Checks every value, then fills in what depends on others."""
        known = settings()
        _check_records(self.absent)
        absent = tuple(it for it in self.absent if it.name not in registry.REGISTRY[it.family])
        object.__setattr__(self, "absent", absent)
        names = {it.family: it.name for it in absent}
        values = dict.fromkeys(field.name for field in known[len(SETTINGS) :]) | dict(self.plugin_options)
        for name, value in values.items():
            object.__setattr__(self, name, _plain(name, value))
        given = {field.name: value for field in known if (value := getattr(self, field.name)) != field.default}
        object.__setattr__(self, "_given", given)
        for field in known:
            value = getattr(self, field.name)
            if (value is not None or field.default is not None) and (value is None or names.get(field.name) != value):
                object.__setattr__(self, field.name, checked(field, value))
        if self.likelihood is None:
            object.__setattr__(self, "likelihood", self._member("dataset").likelihood)
        for field in SETTINGS:
            if getattr(self, field.name) is None:
                object.__setattr__(self, field.name, default_of(field.name, self.dataset))
        for family in registry.REGISTRY:
            self._fill_options(family)
        options = tuple((name, getattr(self, name)) for name in values if getattr(self, name) is not None)
        object.__setattr__(self, "plugin_options", options)
        self._check_needs()
        self._check_kl()
        self._fill_binarize()
        self._fill_label_fraction()
        if self.patience is not None and self.validation is None:
            raise UsageError(
                "{patience}: the best epoch is chosen by images held out of training; expected {validation=N} too, such as "
                "{validation=1000}", patience=self.patience,
            )  # fmt: skip
        if self.pixel_range and not self.pixel_range[0] < self.pixel_range[1]:
            raise UsageError(
                "{pixel_range}: expected the value of black and a greater one of white, such as {pixel_range=0,4095}",
                pixel_range=self.pixel_range,
            )

    def _member(self, family: str) -> registry.Member:
        """The chosen member; of one that is not loaded only the names of its options are known."""
        chosen = getattr(self, family)
        for it in self.absent:
            if (it.family, it.name) == (family, chosen):
                known = {option.name: option for option in registry.options_of(family)}
                return registry.Member(None, "", {known.get(name) or registry.Option(name, ""): None for name in it.options})
        return registry.find(family, chosen)

    def _fill_options(self, family: str) -> None:
        member = self._member(family)
        for option in registry.options_of(family):
            value = getattr(self, option.name)
            if value is None:
                default = member.defaults.get(option.name)
                if isinstance(default, registry.BySize):
                    default = None if self.image_size is None else default.of(self.image_size)
                elif isinstance(default, registry.ByLatents):
                    default = default.of(self.latent_dim)
                elif isinstance(default, registry.ByData):
                    default = None
                object.__setattr__(self, option.name, default)
            elif not any(option.name in self._member(other).defaults for other in registry.REGISTRY):
                owners = [name for name, member in registry.REGISTRY[family].items() if option in member.options]
                chosen = getattr(self, family)
                raise UsageError(
                    f"{{{option.name}}} with {{{family}}}: {chosen} has no such option, expected it only with "
                    f"{{{family}={' or '.join(owners)}}}; leave {{{option.name}=}} out",
                    **{option.name: value, family: chosen},
                )

    def _check_needs(self) -> None:
        for asking, usual in ("objective", "elbo"), ("prior", "normal"):
            for family, capability in self._member(asking).needs.items():
                chosen, members = getattr(self, family), registry.REGISTRY[family].items()
                if self.has(family) and capability not in self._member(family).capabilities:
                    able = " or ".join(name for name, member in members if capability in member.capabilities)
                    raise UsageError(
                        f"{{{asking}}} with {{{family}}}: it needs a {capability} {family}; expected {{{family}={able}}}, or "
                        f"another {asking}, such as {{{asking}={usual}}}", **{asking: getattr(self, asking), family: chosen},
                    )  # fmt: skip

    def _check_kl(self) -> None:
        for name, idle in (("kl_warmup", 0), ("free_bits", 0), ("tc_weight", 1)):
            value = getattr(self, name)
            if self.kl_weight == 0 and value not in (None, idle):
                raise UsageError(
                    f"{{{name}}} with {{kl_weight}}: it has no effect, expected a weight of KL above 0 or {{{name}={idle}}}",
                    kl_weight="0", **{name: f"{value:g}"},
                )  # fmt: skip

    def _fill_binarize(self) -> None:
        allowed = self._member("likelihood").binarize if self.has("likelihood") else (self.binarize or "threshold",)
        if self.binarize is None:
            object.__setattr__(self, "binarize", allowed[0])
        elif self.binarize not in allowed:
            pixels = "leaves the pixels grey" if self.binarize == "none" else "makes every pixel 0 or 1"
            others = [name for name, member in registry.REGISTRY["likelihood"].items() if self.binarize in member.binarize]
            instead = f" or {{likelihood={' or '.join(others)}}}" if others else ""
            raise UsageError(
                f"{{binarize}} with {{likelihood}}: it {pixels}, which {self.likelihood} is no distribution over; "
                f"expected {{binarize={' or '.join(allowed)}}}{instead}",
                binarize=self.binarize, likelihood=self.likelihood,
            )  # fmt: skip

    def _fill_label_fraction(self) -> None:
        if self.labels == "partial" and self.label_fraction is None:
            object.__setattr__(self, "label_fraction", LABEL_FRACTION)
        elif self.labels != "partial" and self.label_fraction is not None:
            raise UsageError(
                "{label_fraction} with {labels}: expected it only with {labels=partial}",
                label_fraction=f"{self.label_fraction:g}",
                labels=self.labels,
            )

    def options(self, family: str) -> dict[str, Any]:
        """The options of the chosen member of a family, by name.

        Raises:
            UsageError: the member is of a plugin that is not loaded.
        """
        self.check_loaded(family)
        return {name: getattr(self, name) for name in self._member(family).defaults}

    def made(self, family: str, *first: Any, **instead: Any) -> Any:
        """The chosen member of a family, made with `first` and its options, or other values `instead` of them.

        Raises:
            UsageError: it cannot be made with these, or is of a plugin that is not loaded.
        """
        options, target = self.options(family) | instead, registry.load(family, getattr(self, family))  # type: ignore[call-overload]
        try:
            inspect.signature(target).bind(*first, **options)
        except TypeError as error:
            words = ", ".join([*(["latent_dim"] if first else []), *options]) or "no arguments"
            name = getattr(self, family)
            raise UsageError(
                f"{{{family}}}: it cannot be made with {words} ({error}); its options are its arguments", **{family: name}
            ) from None
        return target(*first, **options)

    def has(self, family: str) -> bool:
        """Whether the chosen member of a family is loaded."""
        return (family, getattr(self, family)) not in [(it.family, it.name) for it in self.absent]

    def check_loaded(self, *families: str) -> None:
        """Refuses to go on without a member that these settings name.

        Raises:
            UsageError: the chosen member of one of these families is of a plugin that is not loaded.
        """
        for it in self.absent:
            if it.family in families and getattr(self, it.family) == it.name:
                what = f"found no {it.family} {it.name}, which the run was trained with"
                if it.is_file:
                    raise UsageError(f"{what}; load the file that brings it with {{plugin}}", plugin=Path(it.source))
                if it.source:
                    raise UsageError(f"{what}; install the package that brings it, {it.source}")
                networks = "load(run, encoder=..., decoder=...)" if it.name.startswith("own-networks") else "load(run, arch=...)"
                again = "train(..., resume=True, objective=...)" if it.family == "objective" else networks
                raise UsageError(f"{what}: an object of Python, to be given again there with vaecli.{again}")

    @property
    def members(self) -> tuple[MemberRecord, ...]:
        """The records of the chosen members that vaecli does not ship."""
        records = {it.family: it for it in self.absent}
        for family in registry.REGISTRY:
            member = self._member(family)
            if member.provider:
                source, sha256 = member.provider.source, member.provider.sha256
                records[family] = MemberRecord(family, getattr(self, family), source, sha256, tuple(member.defaults))
        return tuple(records.values())

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values; those that do not apply are left out."""
        values = {field.name: getattr(self, field.name) for field in SETTINGS} | dict(self.plugin_options)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value is not None}

    @staticmethod
    def from_json(values: object, absent: Sequence[MemberRecord] = ()) -> "Config":
        """The settings that `to_json` gave.

        Args:
            values: JSON values.
            absent: the members of plugins that they may name although they are not loaded.

        Raises:
            UsageError: `values` is not an object of settings, or a setting is unknown, of the wrong type or not allowed.
        """
        if not isinstance(values, dict):
            raise UsageError(f"found {type(values).__name__}, expected a JSON object of settings")
        # of a run that is older than the settings
        before: dict[str, Any] = {"shuffle": "all", "lr_warmup": 0, "init_bias": "random"}
        return Config(**before | values, absent=tuple(absent))

    def number(self, name: Literal["epochs", "batch_size", "measure_every"]) -> int:
        """The value of a setting that may be ``auto``, in settings for which it is settled (`vaecli.training.settle`).

        Raises:
            UsageError: it is not.
        """
        value: int | str | None = getattr(self, name)
        if isinstance(value, str):
            raise UsageError(f"{{{name}}}: it is settled when the images are known, expected a number here", **{name: value})
        return 1 if value is None else value

    @property
    def image_shape(self) -> ImageShape:
        """The shape of the images.

        Raises:
            UsageError: it is that of an array, and not settled yet (`vaecli.data.load.Source.settled`).
        """
        if self.image_size is None or not self.has_shape:
            raise UsageError("{image_size=}, {colour=}: they are settled when the images are known, expected both here")
        return ImageShape(COLOURS[self.colour or "grey"], self.image_size, self.image_size)

    @property
    def has_shape(self) -> bool:
        """Whether the shape of the images is known: of an array it is settled when training begins."""
        options = self._member("dataset").defaults
        return all(getattr(self, name) is not None for name in ("image_size", "colour") if name in options)

    def of_dataset(self, dataset: str) -> "Config":
        """The settings that were given, of another data set, whose defaults hold for the rest."""
        given: dict[str, Any] = vars(self)["_given"]
        return Config(**given | {"dataset": dataset})

    @property
    def run_name(self) -> str:
        """`name_for` the data set."""
        return self.name_for(self.dataset)

    def name_for(self, data: str) -> str:
        """A folder name from the settings: `data`, latent size, objective, then every setting that is not the default."""
        parts = [data, f"z{self.latent_dim}", self.objective]
        parts += [f"k{self.k}"] if self.k not in (None, 1) else []
        others = {name: value for name, value in self.differing().items() if name not in ("latent_dim", "objective", "k")}
        return "-".join([*parts, *(short_name(name, value) for name, value in others.items())])

    def differing(self, make: "Callable[..., Config] | None" = None) -> dict[str, Any]:
        """The settings that are not the defaults of the data set and of the members chosen, by name, in the order of help.

        Args:
            make: makes settings of arguments; those of many runs are had sooner with ``functools.cache(Config)``.
        """
        make = make or Config
        chosen = ("latent_dim", "objective", "arch", "prior", "posterior", "likelihood", "image_size")
        usual = make(dataset=self.dataset, absent=self.absent)
        plain = make(dataset=self.dataset, absent=self.absent, **{name: getattr(self, name) for name in chosen})
        base = {field.name: getattr(usual if field.name in chosen else plain, field.name) for field in settings()}
        return {name: value for name, default in base.items() if (value := getattr(self, name)) != default}


SETTINGS = tuple(field for field in fields(Config) if field.metadata)
"""The fields of `Config` that are settings, in the order of help, ``config.json`` and run names."""

NAMES = {field.name for field in fields(Config)}
"""The names that no option of a plugin can have."""


def settings() -> tuple["Field[Any]", ...]:
    """All settings: those of vaecli, and the options of plugins."""
    plugins.load_installed()
    return (*SETTINGS, *plugin_settings())


def _with_plugin_options(make: Any) -> Any:
    """`Config.__init__`, which also takes the options of plugins under their names."""

    @wraps(make)
    def init(config: Config, *args: Any, **values: Any) -> None:
        plugins.load_installed()
        more = {name: values.pop(name) for name in [*values] if name not in NAMES}
        known = [field.name for field in settings()] if more else []
        missing = [record for record in values.get("absent", ()) if record.name not in registry.REGISTRY.get(record.family, ())]
        own = {name for record in missing for name in record.options}
        for name in more:
            if name not in known and name not in own:
                raise UsageError(registry.unknown(f"the setting {str(name)[:40]!r}", str(name), known))
        given = dict(values.pop("plugin_options", ())) | {name: value for name, value in more.items() if value is not None}
        make(config, *args, plugin_options=tuple(given.items()), **values)

    return init


# a type checker sees the fields alone
Config.__init__ = _with_plugin_options(Config.__init__)  # type: ignore[method-assign]


def _check_records(records: Sequence[MemberRecord]) -> None:
    """Refuses records, which a file may hold, of families that there are not or of options that no member can have.

    Raises:
        UsageError: one is such.
    """
    for record in records:
        for option in record.options:
            if option not in NAMES and hasattr(Config, option):
                raise UsageError(f"found a member with the option {option}, which is no setting; expected another")
        if record.family not in registry.REGISTRY:
            raise UsageError(registry.unknown(f"the family {record.family}", record.family, registry.REGISTRY))


def _plain(name: str, value: Any) -> Any:
    """The value of an option that may be of a member that is not loaded: a number, a word or a tuple of whole numbers.

    Raises:
        UsageError: it is another thing.
    """
    if isinstance(value, list | tuple):
        value = tuple(value)
    right = value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _MAX_WORD)
    if not right and not (isinstance(value, tuple) and len(value) <= _MAX_WORD and all(type(item) is int for item in value)):
        raise wrong(name, value, "expected a number, a word or whole numbers")
    return value


_MAX_WORD = 64


def default_of(name: str, dataset: str) -> Any:
    """The default of a setting for a data set; None where it depends on more, or does not apply."""
    field = next(field for field in SETTINGS if field.name == name)
    usual = field.default if field.metadata["usual"] is None else field.metadata["usual"]
    member = registry.REGISTRY["dataset"].get(dataset)  # none of a plugin that is not loaded
    return usual if member is None else member.settings.get(name, usual)


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings changed by others; if they choose another member of a family, the old member's options are dropped."""
    kept = dict(base)
    changed = [family for family in registry.REGISTRY if changes.get(family, base.get(family)) != base.get(family)]
    others = {family: registry.REGISTRY[family].get(base.get(family, "")) for family in registry.REGISTRY if family not in changed}
    shared = {name for member in others.values() if member for name in member.defaults}
    for family in changed:
        dropped = {option.name for option in registry.options_of(family)} - shared
        dropped |= {"binarize"} if family == "likelihood" else set()
        kept = {name: value for name, value in kept.items() if name not in dropped}
    return kept | dict(changes)
