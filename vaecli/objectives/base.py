"""The result of every objective, and the objective of a run's settings."""

from typing import NamedTuple, Protocol

from torch import Tensor

from vaecli import registry
from vaecli.config import Config
from vaecli.model import VAE
from vaecli.seeding import Noise


class Bound(NamedTuple):
    """Per-image values in nats, each of shape (B,).

    Attributes:
        value: what is maximised.
        reconstruction: an estimate of E_q[log p(x|z)].
        kl: KL(q(z|x) || p(z)), exact; reconstruction - kl is the ELBO, whatever is maximised.
    """

    value: Tensor
    reconstruction: Tensor
    kl: Tensor


class Objective(Protocol):
    """The call that all objectives share."""

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, noise: Noise) -> Bound:
        """The objective for images x, shape (B, D), with labels y, shape (B, 10) or None."""
        ...


def make_objective(config: Config) -> Objective:
    """The objective that the settings ask for, with its options."""
    options = registry.find("objective", config.objective).defaults
    return registry.load("objective", config.objective)(**{name: getattr(config, name) for name in options})
