"""The model registry: every dataset, architecture, likelihood and objective that vaecli knows, by name.

One line here and one file there make a new member: it then shows in ``--help``, in completion, in error messages and in
the test suite that runs over every member. Nothing here imports torch, so that ``--help`` and completion stay quick;
`load` imports a member's module when it is needed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from vaecli.errors import UsageError


@dataclass(frozen=True)
class Member:
    """One entry of the registry.

    Attributes:
        path: where it is defined, as ``"module:name"``.
        summary: what it is, in a few words, for ``--help``.
        options: the settings that belong to it, with its default for each.
        binarize: for a likelihood, the values of ``--binarize`` whose pixels it is a distribution over; the first
            is its default.
    """

    path: str
    summary: str
    options: Mapping[str, Any] = field(default_factory=dict)
    binarize: tuple[str, ...] = ()


REGISTRY: dict[str, dict[str, Member]] = {
    "dataset": {
        "mnist": Member("vaecli.data.mnist:MNIST", "70,000 handwritten digits, inside the package"),
        "fashion-mnist": Member("vaecli.data.fashion_mnist:FASHION_MNIST", "70,000 articles of clothing"),
    },
    "arch": {
        "mlp": Member("vaecli.networks.mlp:MLP", "fully connected, tanh", {"hidden": (500,)}),
        "conv": Member("vaecli.networks.conv:Conv", "convolutions, then dense", {"channels": (32, 64), "hidden": (256,)}),
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
    },
    "objective": {
        "elbo": Member("vaecli.objectives.elbo:ELBO", "evidence lower bound", {"k": 1, "kl_weight": 1.0}),
        "iwae": Member("vaecli.objectives.iwae:IWAE", "importance-weighted bound", {"k": 5}),
        "dreg": Member("vaecli.objectives.dreg:DReG", "the same with doubly reparameterised gradients", {"k": 5}),
        "jsd": Member("vaecli.objectives.jsd:JSD", "Jensen-Shannon divergence in the place of KL", {"k": 1}),
        "gjs": Member("vaecli.objectives.gjs:GJS", "skew geometric Jensen-Shannon divergence", {"k": 1, "alpha": 0.5}),
    },
}


def names(family: str) -> list[str]:
    """The names of a family, in the order of the registry."""
    return list(REGISTRY[family])


def find(family: str, name: str) -> Member:
    """The member called `name`.

    Raises:
        UsageError: there is none; the message suggests the nearest name.
    """
    if name not in REGISTRY[family]:
        raise UsageError(unknown(f"--{family} {name}", name, names(family)))
    return REGISTRY[family][name]


def load(family: str, name: str) -> Any:
    """The class or function that a name stands for; imports its module."""
    module, _, attribute = find(family, name).path.partition(":")
    return getattr(import_module(module), attribute)


def unknown(found: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not among `known`, with the nearest one as a suggestion."""
    known = list(known)
    near = get_close_matches(name, known, n=1)
    return f"{found}: expected one of {', '.join(known)}" + (f"; did you mean {near[0]}?" if near else "")
