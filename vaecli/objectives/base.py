"""The result of every objective, and the objective of a run's settings."""

from collections.abc import Callable
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


@dataclass(frozen=True)
class Batch:
    """The batch of which an objective that couples images sees some; as it is by default, it sees all of them.

    Attributes:
        images: training images; as many as the batch has if not given.
        gather: the rows of all images of the batch, shape (batch, ...), from those of the images seen, shape (B, ...), with their
            gradient. Every process of a run calls it alike.
    """

    images: int | None = None
    gather: Callable[[Tensor], Tensor] = lambda rows: rows


ALL = Batch()
"""A batch of which all images are seen, and which is all there is to train on."""


def free_bits(kl: Tensor, nats: float, batch: Batch) -> Tensor:
    """The share of each image in sum_j max(nats, mean of KL_j over the batch): what is below `nats` costs nothing.

    Kingma et al. 2016, arXiv:1606.04934, eq. 16.

    Args:
        kl: KL of each group j of latents, shape (B, J).
        nats: per group.
        batch: over all of which the mean is taken.

    Returns:
        Shape (B,).
    """
    mean = batch.gather(kl.detach()).mean(0)
    return torch.where(mean > nats, kl, nats).sum(-1)


def kl_with_free_bits(w: LogWeights, nats: float, batch: Batch) -> Tensor:
    """KL(q(z|x) || p(z)), shape (B,), with `nats` per latent that cost nothing.

    Where KL has a closed form latent by latent each latent is a group of its own, elsewhere all of them are one.
    """
    if not nats:
        return w.kl
    parts = w.kl_by_latent
    return free_bits(w.kl.unsqueeze(-1), nats * w.z.shape[-1], batch) if parts is None else free_bits(parts, nats, batch)


class Objective(Protocol):
    """The call that all objectives share; one that has ``couples``, and is true there, takes a `Batch` as well."""

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

    @property
    def couples(self) -> bool:
        return couples(self.objective)

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor, *batch: Batch) -> Bound:
        bound = self.objective(model, x, y, eps, *batch)
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


def couples(objective: Objective) -> bool:
    """Whether an image's value depends on the other images of its batch."""
    return bool(getattr(objective, "couples", False))


def make_objective(config: Config, kl_weight: Tensor | None = None) -> Objective:
    """The objective that the settings ask for, with its options.

    Args:
        config: the settings.
        kl_weight: in the place of the setting, a tensor of shape () that changes while the objective is used.
    """
    config.check_loaded("objective")
    objective: Objective = config.made("objective", **({} if kl_weight is None else {"kl_weight": kl_weight}))
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
