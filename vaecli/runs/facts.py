"""The numbers that a finished run is judged by."""

from collections.abc import Mapping, Sequence
from typing import Any

from vaecli import registry
from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.evaluation.importance import evaluate
from vaecli.evaluation.soundness import Facts
from vaecli.evaluation.without_model import SOME, grey_share, without_model
from vaecli.model import VAE
from vaecli.runs.find import measured_split
from vaecli.training.loop import steps_per_epoch

SPREAD = 100
"""Images below which the activity of latents is measured on training images too: so few may lie together."""


def facts_of(
    config: Config,
    model: VAE,
    images: Images,
    held_out: Images,
    rows: Sequence[Mapping[str, Any]],
    active_units: int,
    enough: bool = False,
    kept: int | None = None,
) -> Facts:
    """The facts of a run.

    Pixels count as binarised where a data set's usual likelihood keeps their greys; MNIST's are black and white by convention.

    Args:
        config: the run's settings.
        model: trained.
        images: the training images.
        held_out: the images that the run was measured on.
        rows: of its log.
        active_units: of the images held out.
        enough: whether few steps are no fault: it began with the weights of another run, or its `patience` ended it.
        kept: the epoch whose weights `model` has; the last if not given.
    """
    split = measured_split(rows[-1])
    if len(held_out) < SPREAD:
        active_units = max(active_units, evaluate(model, images[:SPREAD].to(model.device)).active_units)
    no_model, independent = without_model(model, images, held_out)
    binarised = config.binarize != "none" and registry.find("dataset", config.dataset).likelihood != config.likelihood
    epochs = [int(row["epoch"]) for row in rows]
    return Facts(
        epochs=epochs,
        losses=[float(row["loss"]) for row in rows],
        measured=[-float(row[f"{split}_elbo"]) for row in rows],
        steps=None if enough else int(rows[-1]["epoch"]) * steps_per_epoch(images, config),
        latent_dim=model.latent_dim,
        active_units=active_units,
        no_model=no_model,
        independent=independent,
        grey=grey_share(images[:SOME]) if binarised else 0.0,
        kept=epochs.index(kept) if kept in epochs else -1,
    )
