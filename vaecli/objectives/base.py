"""The result of every objective, and the objective of a run's settings."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from vaecli import registry
from vaecli.arguments import kind
from vaecli.config import Config
from vaecli.errors import UsageError
from vaecli.model import VAE, LogWeights


class Bound(NamedTuple):
    """Per-image values in nats, each of shape (B,).

    Attributes:
        value: what is maximised.
        reconstruction: an estimate of E_q[log p(x|z)].
        kl: KL(q(z|x) || p(z)); reconstruction - kl is the ELBO, whatever is maximised.
        kl_is_exact: whether `kl` is in closed form, and not an estimate too.
    """

    value: Tensor
    reconstruction: Tensor
    kl: Tensor
    kl_is_exact: bool = True

    @staticmethod
    def of(value: Tensor, w: LogWeights) -> "Bound":
        """The value that was made of `w`, with the parts of the ELBO, through which no more gradient goes than they had."""
        with torch.no_grad():
            return Bound(value, w.reconstruction, w.kl, w.kl_is_exact)


class Objective(Protocol):
    """The call that all objectives share."""

    @property
    def draws(self) -> int:
        """How many vectors of noise it takes for each image."""
        ...

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor) -> Bound:
        """The objective for images x, shape (B, D), with labels y, shape (B, labels) or None.

        Args:
            model: the model.
            x: the images.
            y: their labels.
            eps: standard normal noise, shape (draws, B, latent_dim).
        """
        ...


@dataclass(frozen=True)
class _Checked:
    """An objective that vaecli does not ship, whose values are looked at."""

    objective: Objective
    name: str

    @property
    def draws(self) -> int:
        return self.objective.draws

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor) -> Bound:
        bound = self.objective(model, x, y, eps)
        if not isinstance(bound, Bound):
            raise UsageError(
                f"{{objective}}: it gives {kind(bound)}, expected a Bound, such as Bound.of(value, w)", objective=self.name
            )
        for part, value in zip(Bound._fields, bound[:3], strict=False):
            if not isinstance(value, Tensor) or value.shape != (len(x),):
                raise UsageError(
                    f"{{objective}}: its {part} is {kind(value)}, expected one number per image, shape ({len(x)},)",
                    objective=self.name,
                )
        return bound


def make_objective(config: Config) -> Objective:
    """The objective that the settings ask for, with its options."""
    config.check_loaded("objective")
    objective: Objective = config.made("objective")
    if not registry.find("objective", config.objective).provider:
        return objective
    check_objective(objective)
    return _Checked(objective, config.objective)


def check_objective(objective: Any) -> None:
    """Refuses what is no `Objective`.

    Raises:
        UsageError: it cannot be called, is a class, or has no `draws` from 1.
    """
    draws = getattr(objective, "draws", None)
    if isinstance(objective, type) or not callable(objective) or not isinstance(draws, int) or draws < 1:
        found = f"{kind(objective)} with draws of {draws!r}" if hasattr(objective, "draws") else kind(objective)
        raise UsageError(
            f"{{objective=}}: found {found}, expected an object with `draws`, a whole number from 1, that is called with "
            "(model, x, y, eps), such as IWAE(5)"
        )
