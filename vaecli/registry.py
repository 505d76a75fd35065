"""The model registry: every data set, network, prior, posterior, likelihood and objective that vaecli knows, with its options.

A new member is one line here and one file in its room: it then shows in ``--help``, in completion, in error messages and in
the test suite that runs over every member. Options of its own stand in that line too. Members that others bring are added by
`vaecli.plugins`. Nothing here imports torch, so ``--help`` and completion stay quick; `load` imports a member's module when it is
needed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal, overload

from vaecli.errors import UsageError
from vaecli.image_shape import COLOURS

if TYPE_CHECKING:
    from vaecli.data.dataset import Dataset
    from vaecli.distributions.pixels import PixelLikelihood
    from vaecli.loggers.base import Logger
    from vaecli.networks.layers import Architecture
    from vaecli.objectives.base import Objective
    from vaecli.posteriors.base import Posterior
    from vaecli.priors.base import Prior


@dataclass(frozen=True)
class Option:
    """A setting that members of the registry own.

    Attributes:
        name: of the field of `vaecli.Config`, which has its type; an option of a plugin has the type of its default: a whole
            number, a number, a word, or a tuple of whole numbers.
        help: one line, a sentence.
        low: the least value allowed; for a tuple, of each of its numbers.
        high: the greatest value allowed.
        choices: the words allowed, of a ``str``.

    Example:
        >>> vaecli.Option("scale", "Scale of the prior.", 0.01, 100).name
        'scale'
    """

    name: str
    help: str
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True)
class BySize:
    """A default that depends on the size of the images.

    Attributes:
        of: from the height and width of the images, in pixels, to the value.
        help: the values, for ``--help``.
    """

    of: Callable[[int], Any]
    help: str

    def __str__(self) -> str:
        return self.help


@dataclass(frozen=True)
class ByLatents:
    """A default that depends on the number of latents.

    Attributes:
        of: from the number of latents to the value.
        help: the values, for ``--help``.
    """

    of: Callable[[int], Any]
    help: str

    def __str__(self) -> str:
        return self.help


@dataclass(frozen=True)
class ByData:
    """A default that depends on the images, and is settled when training begins; None until then.

    Attributes:
        help: how, for ``--help``.
    """

    help: str

    def __str__(self) -> str:
        return self.help


@dataclass(frozen=True)
class Provider:
    """Where a member that is not vaecli's own comes from.

    Attributes:
        source: the path of a Python file, or a package and its version, such as ``my-package 1.2``; empty for a session of Python.
        sha256: of the file, in hexadecimal; empty for a package or a session.
    """

    source: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Member:
    """One entry of the registry.

    Attributes:
        path: where it is defined, as ``"module:name"``, or the object itself.
        summary: a few words for ``--help``.
        options: the settings that belong to it, with its default for each.
        capabilities: what it can do that others cannot, among those that another member may need; its family says which there are.
        needs: for an objective or a prior, by ``prior`` and ``posterior``, the capability that it needs of them.
        binarize: for a likelihood, the ways to binarise whose pixels it is a distribution over; the first is its default.
        likelihood: for a data set, the default one.
        settings: for a data set, its own defaults of other settings.
        own_labels: for a data set, whether a person's own folder or file decides which labels there are.
        provider: where it comes from; None for vaecli's own.
    """

    path: Any
    summary: str
    options: Mapping[Option, Any] = field(default_factory=dict)
    capabilities: frozenset[str] = frozenset()
    needs: Mapping[str, str] = field(default_factory=dict)
    binarize: tuple[str, ...] = ()
    likelihood: str = "bernoulli"
    settings: Mapping[str, Any] = field(default_factory=dict)
    own_labels: bool = False
    provider: Provider | None = None

    @property
    def defaults(self) -> dict[str, Any]:
        """The defaults of its options, by name."""
        return {option.name: default for option, default in self.options.items()}


IMAGE_SIZE = Option(
    "image_size",
    "Height and width, in pixels: pictures are scaled to it, smaller images of a data set or array get a black border.",
    4,
    256,
)
COLOUR = Option("colour", "Grey images, or red, green and blue ones.", choices=tuple(COLOURS))
PIXEL_RANGE = Option(
    "pixel_range",
    "The values that are black and white, LOW,HIGH, in pictures of more than 256 levels, or in all if there are no such pictures.",
    -1e12,
    1e12,
)
K = Option("k", "Particles (latent samples) per image.", 1, 100_000)
KL_WEIGHT = Option("kl_weight", "Weight of the KL divergence (beta-VAE).", 0, 1e6)
KL_WARMUP = Option("kl_warmup", "Epochs in which the weight of the KL divergence rises from 0 to its full size.", 0, 100_000)
FREE_BITS = Option("free_bits", "Nats of KL per latent that cost nothing, of the mean over a batch.", 0, 1e6)
GROUPS = Option("groups", "Groups of K particles.", 1, 10_000)
ELBO_WEIGHT = Option("elbo_weight", "Weight of the ELBO; the rest is the importance-weighted bound's.", 0, 1)
ORDER = Option("order", "Order of the Renyi divergence (alpha): 1 is the ELBO, 0 the importance-weighted bound.", -100, 100)
TC_WEIGHT = Option("tc_weight", "Weight of the total correlation (beta); 1 is the ELBO.", 0, 1e6)
MMD_WEIGHT = Option("mmd_weight", "Weight of the squared maximum mean discrepancy.", 0, 1e9)
ALPHA = Option("alpha", "Skew: 0 is KL(posterior || prior), 1 is KL(prior || posterior).", 0, 1)
HIDDEN = Option("hidden", "Units of the hidden layers, encoder's order; the decoder mirrors them.", 1, 16384)
COMPONENTS = Option("components", "Components of the prior.", 1, 10_000)
FLOW = Option("flow", "The maps of the flow prior.", choices=("coupling", "autoregressive", "spline"))
PRIOR_TRANSFORMS = Option("prior_transforms", "Maps of the prior, one after the other.", 1, 32)
PRIOR_HIDDEN = Option("prior_hidden", "Units of the hidden layers of the prior's networks.", 1, 4096)
SECOND_LATENTS = Option("second_latents", "Latents of the second layer, out of all; the decoder sees the others.", 1, 4095)
POSTERIOR_TRANSFORMS = Option("posterior_transforms", "Maps of the posterior, one after the other.", 1, 32)
POSTERIOR_HIDDEN = Option("posterior_hidden", "Units of the hidden layers of the posterior's own networks.", 1, 4096)
CHANNELS = Option("channels", "Channels of the convolutions, each of which halves the image's side.", 1, 1024)
BLOCKS = Option("blocks", "Residual blocks after each convolution that halves the image, and before each that doubles it.", 1, 64)


def _channels(size: int) -> tuple[int, ...]:
    """The channels of convolutions that halve a side down to 8 pixels or to an odd number: 32, 64, 128 and then 256."""
    halvings = 1
    while size >> halvings > 8 and size % (2 << halvings) == 0:
        halvings += 1
    return tuple(min(256, 32 << stage) for stage in range(halvings))


def _residual_channels(size: int) -> tuple[int, ...]:
    """The channels of convolutions that halve any side down to 8 pixels or fewer: 16, 32, 64 and then 128."""
    halvings = 1
    while -(-size >> halvings) > 8:
        halvings += 1
    return tuple(min(128, 16 << stage) for stage in range(halvings))


ELBO_LIKE: dict[Option, Any] = {K: 1, KL_WEIGHT: 1.0, KL_WARMUP: 0.0, FREE_BITS: 0.0}
"""The options of an objective that subtracts the KL divergence from the reconstruction."""

DIAGONAL = "diagonal Gaussian"
"""The capability of a prior or posterior that gives a `vaecli.distributions.normal.DiagonalNormal`, a posterior one whose loc and
log_scale the encoder gives side by side."""

REPARAMETERISED = "reparameterised"
"""The capability of a prior whose distribution has `transform`, as every posterior's has."""

STANDARD = "standard normal"
"""The capability of a prior that is N(0, I): the explorer's page draws its circles, and computes with its density."""

SEPARATE = "separate"
"""The capability of a data set whose images are files of their own, of which it reads some alone (`Request.only`)."""

OWN = {
    "epochs": "auto", "batch_size": "auto", "measure_every": "auto", "shuffle": "auto", "lr_schedule": "cosine", "lr_warmup": 20,
}  # fmt: skip
"""The defaults of a person's own images: steps decide, and training begins with small ones."""

BY_ARRAY: dict[Option, Any] = {
    IMAGE_SIZE: ByData("the array's"),
    COLOUR: ByData("the array's"),
    PIXEL_RANGE: ByData("auto, by the values of all images"),
}

RESIDUAL_CHANNELS_BY_SIZE = BySize(_residual_channels, "16,32 for 28 and 32 pixels, 16,32,64 for 64")

A_THIRD = ByLatents(lambda latents: max(1, latents // 3), "a third of the latents")

CHANNELS_BY_SIZE = BySize(_channels, "32,64 for 28 and 32 pixels, 32,64,128 for 64")

REGISTRY: dict[str, dict[str, Member]] = {
    "dataset": {
        "mnist": Member("vaecli.data.mnist:MNIST", "70,000 handwritten digits, inside the package", {IMAGE_SIZE: 28}),
        "fashion-mnist": Member("vaecli.data.fashion_mnist:FASHION_MNIST", "70,000 articles of clothing", {IMAGE_SIZE: 28}),
        "kmnist": Member("vaecli.data.torchvision_sets:KMNIST", "70,000 cursive Japanese characters", {IMAGE_SIZE: 28}),
        "emnist-letters": Member("vaecli.data.torchvision_sets:EMNIST_LETTERS", "145,600 handwritten letters", {IMAGE_SIZE: 28}),
        "omniglot": Member("vaecli.data.torchvision_sets:OMNIGLOT", "32,460 characters of 50 alphabets", {IMAGE_SIZE: 28}),
        "cifar10": Member(
            "vaecli.data.torchvision_sets:CIFAR10",
            "60,000 photographs of 10 kinds",
            {IMAGE_SIZE: 32, COLOUR: "rgb"},
            likelihood="discretized-logistic",
        ),
        "svhn": Member(
            "vaecli.data.torchvision_sets:SVHN",
            "99,289 digits of house numbers",
            {IMAGE_SIZE: 32, COLOUR: "rgb"},
            likelihood="discretized-logistic",
        ),
        "folder": Member(
            "vaecli.data.folder:FOLDER",
            "a person's own pictures, below --data-dir or in tar shards",
            {IMAGE_SIZE: 64, COLOUR: "rgb", PIXEL_RANGE: ByData("auto, by the values of all pictures")},
            likelihood="discretized-logistic",
            settings=OWN,
            own_labels=True,
            capabilities=frozenset({SEPARATE}),
        ),
        "array": Member(
            "vaecli.data.array_files:ARRAY",
            "a person's own arrays: .npy, .npz, HDF5 or a Hugging Face folder, at --data-dir",
            BY_ARRAY,
            likelihood="discretized-logistic",
            settings=OWN,
            own_labels=True,
        ),
    },
    "arch": {
        "mlp": Member("vaecli.networks.mlp:MLP", "fully connected, tanh", {HIDDEN: (500,)}),
        "residual-mlp": Member(
            "vaecli.networks.residual_mlp:ResidualMLP", "fully connected, residual, layer norms", {HIDDEN: (500, 500)}
        ),
        "conv": Member("vaecli.networks.conv:Conv", "convolutions, then dense", {CHANNELS: CHANNELS_BY_SIZE, HIDDEN: (256,)}),
        "resnet": Member(
            "vaecli.networks.resnet:ResNet",
            "residual blocks with group norms, of any image size",
            {CHANNELS: RESIDUAL_CHANNELS_BY_SIZE, HIDDEN: (256,), BLOCKS: 1},
        ),
    },
    "prior": {
        "normal": Member(
            "vaecli.priors.normal:StandardNormal", "N(0, I)", capabilities=frozenset({DIAGONAL, REPARAMETERISED, STANDARD})
        ),
        "mixture": Member("vaecli.priors.mixture:Mixture", "Gaussians, all learned", {COMPONENTS: 500}),
        "flow": Member(
            "vaecli.priors.flow:Flow",
            "N(0, I) through invertible maps, by zuko",
            {FLOW: "coupling", PRIOR_TRANSFORMS: 4, PRIOR_HIDDEN: (100, 100)},
            capabilities=frozenset({REPARAMETERISED}),
        ),
        "two-layer": Member(
            "vaecli.priors.two_layer:TwoLayer",
            "latents of a first layer given those of a second",
            {SECOND_LATENTS: A_THIRD, PRIOR_HIDDEN: (100, 100)},
            capabilities=frozenset({REPARAMETERISED}),
        ),
        "vamp": Member(
            "vaecli.priors.vamp:Vamp",
            "the posteriors of learned images, mixed",
            {COMPONENTS: 500},
            needs={"posterior": DIAGONAL},
        ),
    },
    "posterior": {
        "diagonal": Member("vaecli.posteriors.diagonal:Diagonal", "independent Gaussians", capabilities=frozenset({DIAGONAL})),
        "full": Member("vaecli.posteriors.full:Full", "Gaussians with a full covariance"),
        "flow": Member(
            "vaecli.posteriors.flow:Flow",
            "Gaussians through inverse autoregressive maps, by zuko",
            {POSTERIOR_TRANSFORMS: 2, POSTERIOR_HIDDEN: (100, 100)},
        ),
        "two-layer": Member(
            "vaecli.posteriors.two_layer:TwoLayer",
            "latents of a second layer given those of a first",
            {SECOND_LATENTS: A_THIRD, POSTERIOR_HIDDEN: (100, 100)},
        ),
    },
    "likelihood": {
        "bernoulli": Member(
            "vaecli.distributions.bernoulli:Bernoulli", "black or white pixels", binarize=("threshold", "stochastic")
        ),
        "beta": Member("vaecli.distributions.beta:Beta", "grey pixels, a Beta density each", binarize=("none",)),
        "continuous-bernoulli": Member(
            "vaecli.distributions.continuous_bernoulli:ContinuousBernoulli",
            "grey pixels, the Bernoulli made a density",
            binarize=("none",),
        ),
        "discretized-logistic": Member(
            "vaecli.distributions.discretized_logistic:DiscretizedLogistic",
            "256 levels, a discretised logistic each",
            binarize=("none",),
        ),
    },
    "objective": {
        "elbo": Member("vaecli.objectives.elbo:ELBO", "evidence lower bound", ELBO_LIKE),
        "stl": Member("vaecli.objectives.stl:STL", "the same without the score term in its gradient", ELBO_LIKE),
        "iwae": Member("vaecli.objectives.iwae:IWAE", "importance-weighted bound", {K: 5}),
        "dreg": Member("vaecli.objectives.dreg:DReG", "the same with doubly reparameterised gradients", {K: 5}),
        "miwae": Member("vaecli.objectives.miwae:MIWAE", "mean of several importance-weighted bounds", {K: 5, GROUPS: 2}),
        "piwae": Member("vaecli.objectives.piwae:PIWAE", "iwae for the decoder, miwae for the encoder", {K: 5, GROUPS: 2}),
        "ciwae": Member("vaecli.objectives.ciwae:CIWAE", "between elbo and iwae", {K: 5, ELBO_WEIGHT: 0.5}),
        "renyi": Member("vaecli.objectives.renyi:Renyi", "variational Renyi bound", {K: 5, ORDER: 0.5}),
        "beta-tc": Member(
            "vaecli.objectives.beta_tc:BetaTC",
            "elbo with more weight on the total correlation",
            {**ELBO_LIKE, TC_WEIGHT: 4.0},
            needs={"posterior": DIAGONAL},
        ),
        "info": Member(
            "vaecli.objectives.info:Info",
            "elbo with the discrepancy of all codes from the prior",
            {**ELBO_LIKE, MMD_WEIGHT: 100.0},
            needs={"prior": REPARAMETERISED},
        ),
        "jsd": Member(
            "vaecli.objectives.jsd:JSD", "Jensen-Shannon divergence instead of KL", {K: 1}, needs={"prior": REPARAMETERISED}
        ),
        "gjs": Member(
            "vaecli.objectives.gjs:GJS",
            "skew geometric Jensen-Shannon divergence",
            {K: 1, ALPHA: 0.5},
            needs={"prior": DIAGONAL, "posterior": DIAGONAL},
        ),
    },
}

LOGGERS = {
    "tensorboard": Member("vaecli.loggers.tensorboard:TensorBoard", "event files in the run's folder, which TensorBoard shows"),
    "wandb": Member("vaecli.loggers.wandb:WeightsAndBiases", "Weights & Biases, offline unless WANDB_MODE says otherwise"),
    "mlflow": Member("vaecli.loggers.mlflow:MLflow", "MLflow's local store, or that of MLFLOW_TRACKING_URI"),
}
"""Where the curves of a run go: no setting of the run, so it stands beside the families that `Config` has."""

FAMILIES: dict[str, dict[str, Member]] = REGISTRY | {"log": LOGGERS}
"""All families, those without settings too."""


def options_of(family: str) -> list[Option]:
    """The options that members of a family own, each once, in the order of the registry."""
    return list(dict.fromkeys(option for member in FAMILIES[family].values() for option in member.options))


def names(family: str) -> list[str]:
    """The names of a family, in the order of the registry."""
    return list(FAMILIES[family])


def find(family: str, name: str) -> Member:
    """The member called `name`.

    Raises:
        UsageError: there is no such member; the message suggests the nearest name.
    """
    if name not in FAMILIES[family]:
        raise UsageError(unknown(f"{{{family}}}", name, names(family)), **{family: name})
    return FAMILIES[family][name]


@overload
def load(family: Literal["dataset"], name: str) -> "Dataset": ...
@overload
def load(family: Literal["arch"], name: str) -> "Callable[..., Architecture]": ...
@overload
def load(family: Literal["prior"], name: str) -> "Callable[..., Prior]": ...
@overload
def load(family: Literal["posterior"], name: str) -> "Callable[..., Posterior]": ...
@overload
def load(family: Literal["likelihood"], name: str) -> "type[PixelLikelihood]": ...
@overload
def load(family: Literal["objective"], name: str) -> "Callable[..., Objective]": ...
@overload
def load(family: Literal["log"], name: str) -> "Callable[..., Logger]": ...


def load(family: str, name: str) -> object:
    """The object called `name`; imports its module.

    Raises:
        UsageError: there is no such member.
    """
    found = find(family, name).path
    if isinstance(found, str):
        module, _, attribute = found.partition(":")
        found = getattr(import_module(module), attribute)
    return (
        import_module("vaecli.data.array_files").MadeSet(make=found)
        if isinstance(found, FunctionType) and family == "dataset"
        else found
    )


MOST_LISTED = 20
"""Names that a message lists, where it suggests one of them."""


def unknown(subject: str, name: str, choices: Iterable[str]) -> str:
    """The message for a name that is not among the choices, with the nearest one as a suggestion."""
    choices = list(choices)
    near = get_close_matches(name, choices, n=1)
    known = f"{len(choices)} names" if near and len(choices) > MOST_LISTED else ", ".join(choices)
    return f"{subject}: expected one of {known}" + (f"; did you mean {near[0]}?" if near else "")
