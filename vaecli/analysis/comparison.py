"""Runs side by side: their measurements, reconstructions, samples and losses."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaecli.analysis.defaults import COMPARED_IMAGES
from vaecli.arguments import Count, Seed, checked
from vaecli.data.images import Images
from vaecli.distributions.pixels import PixelLikelihood
from vaecli.errors import CheckpointError
from vaecli.evaluation.estimates import Measured
from vaecli.runs.find import measured_split
from vaecli.runs.run import Run
from vaecli.seeding import generator


@dataclass(frozen=True)
class Row:
    """The measurements of a run: a row of the table.

    Attributes:
        run: the run.
        name: the run's name, distinct from the other rows'.
        measured: nats on the images.
        positions: of those images in their split, from 0; all of them if not given.
        split_images: how many the split has; as many as were measured if not given.
    """

    run: Run
    name: str
    measured: Measured
    positions: Tensor | None = None
    split_images: int | None = None

    @property
    def parameters(self) -> int:
        """The number of weights and biases of the model."""
        return sum(weights.numel() for weights in self.run.model.parameters())

    @property
    def seconds(self) -> float | None:
        """The seconds of training; None without its loss log."""
        try:
            return round(sum(row["seconds"] for row in self.run.log), 1)
        except CheckpointError:
            return None

    def to_json(self, per_image: bool = False) -> dict[str, Any]:
        """JSON values, with lists of each image's numbers if asked for; docs/json.md lists them."""
        names = ("step", "steps", "diverged_epoch", "last_epoch")
        return {
            "run": self.name,
            "epochs": self.run.results.get("epoch"),
            **self.measured.to_json(),
            "split_images": self.split_images or self.measured.images,
            "parameters": self.parameters,
            "seconds": self.seconds,
            "settings": self.run.config.to_json(),
            **{name: value for name, value in self.run.results.items() if name in names},
            **({"per_image": {name: values.tolist() for name, values in self._per_image.items()}} if per_image else {}),
        }

    @property
    def _per_image(self) -> dict[str, Tensor]:
        numbers = torch.arange(self.measured.images) if self.positions is None else self.positions
        return {"image": numbers} | self.measured.per_image

    def to_csv(self) -> dict[str, Any]:
        """A row of a .csv: numbers without nesting, such as ``L_50`` and ``standard_error_L_50``, then the settings."""
        row = self.to_json()
        numbers = {name: value for name, value in row.items() if not isinstance(value, dict)}
        numbers |= _prefixed("L", row["L"])
        numbers |= _prefixed("exact", row.get("convergence", {}))
        for kind in ("bits_per_dim", "weights", "accuracy", "standard_error", "monte_carlo_error", "annealing", "bdmc"):
            numbers |= _prefixed(kind, row.get(kind, {}))
        settings = row["settings"].items()
        return numbers | {name: " ".join(map(str, value)) if isinstance(value, list) else value for name, value in settings}

    def per_image(self) -> list[dict[str, Any]]:
        """The rows of a .csv, one for each image: its number in the split from 0, ``elbo``, ``L_50``, ``k_hat_L_50`` and so on."""
        numbers = {name: values.tolist() for name, values in self._per_image.items()}
        return [{"run": self.name} | {name: values[row] for name, values in numbers.items()} for row in range(self.measured.images)]


def pixels_of(run: Run) -> str:
    """What a run's numbers are probabilities or densities of; settings are written as in a `VaecliError`."""
    config = run.config
    if not run.model.pixel_likelihood.discrete:
        return f"densities of grey pixels, on the scale of {config.likelihood}"
    if config.binarize == "none":
        return "probabilities of 256 levels"
    return f"probabilities of black and white pixels, {{binarize={config.binarize}}}"


def _prefixed(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    """Numbers under names such as ``accuracy_L_50``, those of nested groups included."""
    numbers: dict[str, Any] = {}
    for name, value in values.items():
        numbers |= _prefixed(f"{prefix}_{name}", value) if isinstance(value, dict) else {f"{prefix}_{name}": value}
    return numbers


@dataclass(frozen=True)
class Decoded:
    """Images decoded from N latents.

    Attributes:
        mean: the means of p(x | z, y), shape (N, D).
        draw: an image drawn from each, shape (N, D).
    """

    mean: Tensor
    draw: Tensor


@dataclass(frozen=True)
class Shown:
    """Images of a run, to stand beside those of others.

    Attributes:
        run: the run.
        name: the run's name, distinct from the other runs'.
        x: the images as the likelihood sees them, shape (N, D).
        reconstructions: of `x`.
        samples: from the prior; those of a conditional model have the labels 0, 1, ... in turn.
    """

    run: Run
    name: str
    x: Tensor
    reconstructions: Decoded
    samples: Decoded


@dataclass(frozen=True)
class Curve:
    """The losses of a run by epoch, in nats per image.

    Attributes:
        name: the run's.
        epochs: the epochs after which the run was measured.
        losses: the training loss up to each.
        measured_losses: -ELBO of the test images, or of the run's validation images, after each.
        split: which of the two: ``test`` or ``validation``.
        images: how many of them were measured, drawn at random; None for all.
    """

    name: str
    epochs: list[int]
    losses: list[float]
    measured_losses: list[float]
    split: str = "test"
    images: int | None = None

    @property
    def measured(self) -> str:
        """The images that were measured, in words: ``test``, or ``1,000 test``."""
        return self.split if self.images is None else f"{self.images:,} {self.split}"

    def rows(self) -> list[dict[str, Any]]:
        """The rows of a .csv: an epoch, its loss and the -ELBO after it."""
        values = zip(self.epochs, self.losses, self.measured_losses, strict=True)
        return [{"epoch": epoch, "loss": loss, f"{self.split}_loss": measured} for epoch, loss, measured in values]


@checked
@torch.inference_mode()
def show_run(
    run: Run, name: str, images: Images, n: Count = COMPARED_IMAGES, seed: Seed = 0, samples: Count | None = None
) -> Shown:
    """Reconstructions and samples of a run.

    Runs of one latent size decode the same latents from the prior, so that their samples can be compared one by one.

    Args:
        run: the run, with its model on the device of `images`.
        name: of the run.
        images: the first `n` of them are reconstructed.
        n: how many.
        seed: of the latents and of the draws from the pixels.
        samples: how many are drawn from the prior; `n` if not given.
    """
    model, device = run.model.eval(), images.pixels.device
    images = images[:n]
    noise = generator(device, "compare", seed)
    x, y = model.observe(images.pixels), model.condition(images.labels)
    z = model.encode(x, y).transform(torch.randn(1, len(x), model.latent_dim, generator=noise, device=device))
    reconstructed = model.decode(z[0], y)
    count = samples or n
    z = model.prior.sample(count, generator(device, "compare samples", seed))
    sampled = model.decode(z, model.condition(torch.arange(count, device=device) % max(1, model.labels)))
    return Shown(run, name, x, _decoded(reconstructed, noise), _decoded(sampled, noise))


def _decoded(likelihood: PixelLikelihood, noise: torch.Generator) -> Decoded:
    return Decoded(likelihood.mean, likelihood.sample(generator=noise))


@checked
def loss_curve(run: Run, name: str) -> Curve:
    """The losses of a run, from its loss log.

    Raises:
        CheckpointError: its loss log is missing or damaged.
    """
    log = run.log
    split = measured_split(log[0]) or "test"
    return Curve(
        name, [int(row["epoch"]) for row in log], [row["loss"] for row in log], [-row[f"{split}_elbo"] for row in log], split,
        run.config.test_limit,
    )  # fmt: skip
