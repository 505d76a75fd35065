"""Pictures of results in axes of your own: each function draws into a matplotlib ``Axes``, and gives it back.

Nothing else is changed: no figure is made, shown or saved. Names are shown unchanged, although matplotlib reads a $ as TeX.

Example:
    >>> from matplotlib.figure import Figure
    >>> run, digits = vaecli.load("baseline"), vaecli.load_images("mnist", "test", limit=500)
    >>> left, middle, right = Figure(figsize=(15, 5), layout="constrained").subplots(1, 3)
    >>> _ = vaecli.plot.curves([run], left)
    >>> _ = vaecli.plot.latents(run.model, digits, middle)
    >>> vaecli.plot.images(vaecli.reconstruct(run.model, digits[:5]), right).get_ylabel()
    ''
"""

from collections.abc import Sequence
from typing import Annotated, Any, Protocol, runtime_checkable

from matplotlib.axes import Axes
from torch import Tensor

from vaecli.analysis.comparison import loss_curve
from vaecli.analysis.differences import Difference
from vaecli.analysis.latents import cloud
from vaecli.analysis.latents import manifold as decoded_plane
from vaecli.analysis.latents import variances as posterior_variances
from vaecli.arguments import Filled, check, checked
from vaecli.data.images import Images
from vaecli.errors import UsageError
from vaecli.model import VAE
from vaecli.plotting import plots
from vaecli.plotting.difference_plot import draw_differences
from vaecli.plotting.thumbnails import draw_thumbnails
from vaecli.runs.run import Run, names_of

__all__ = ["curves", "differences", "images", "latents", "manifold", "search", "thumbnails", "variances"]


@runtime_checkable
class Pictured(Protocol):
    """A result with pictures."""

    def grid(self) -> Tensor:
        """Bytes, shape (3, height, width)."""
        ...


@checked
def curves(runs: Annotated[Sequence[Run], Filled], ax: Axes) -> Axes:
    """The -ELBO of the test or validation images of runs over their epochs; of more than 100 on a logarithmic axis.

    Args:
        runs: with their loss logs.
        ax: to draw into.

    Raises:
        CheckpointError: a loss log is missing or damaged.
    """
    plots.draw_curves(ax, [loss_curve(run, name) for run, name in zip(runs, names_of(runs), strict=True)])
    plots.legend(ax)
    return ax


@checked
def latents(model: VAE, images: Images, ax: Axes) -> Axes:
    """The posterior means of images, each in its label's colour; the first principal components of more latents than axes.

    Args:
        model: on the same device as `images`.
        images: with their labels.
        ax: flat, or made with ``projection="3d"`` for three latents or more.

    Raises:
        UsageError: three latents and flat axes, or fewer and 3-D axes.
    """
    deep = ax.name == "3d"
    points = cloud(model, images, 3 if deep else 2)
    if deep != (points.points.shape[1] == 3):
        found = f"{'3-D' if deep else 'flat'} axes for {model.latent_dim} latent{'s' * (model.latent_dim > 1)}"
        raise UsageError(f"{{ax=}}: found {found}, expected axes made {'without' if deep else 'with'} projection='3d'")
    plots.draw_cloud(ax, points)
    return ax


@checked
def variances(model: VAE, images: Images, ax: Axes) -> Axes:
    """The posterior variance of images along each latent dimension, and the variance of the posterior means.

    Args:
        model: on the same device as `images`.
        images: with their labels.
        ax: to draw into.
    """
    plots.draw_variances(ax, posterior_variances(model, images))
    return ax


@checked
def images(shown: Pictured, ax: Axes) -> Axes:
    """The grid that a notebook shows of `Images`, or of what `sample`, `reconstruct`, `between` and `inpaint` give.

    Args:
        shown: the result.
        ax: to draw into, without ticks.

    Raises:
        UsageError: it has no pictures.
    """
    ax.imshow(shown.grid().permute(1, 2, 0).numpy())
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


@checked
def manifold(run: Run, ax: Axes, label: int | str | None = None) -> Axes:
    """What the decoder of a run makes of a grid over its two latents, each cell of the same prior probability.

    Args:
        run: of two latents.
        ax: to draw into, without ticks.
        label: its name or number, for a conditional model.

    Raises:
        UsageError: the run has more latents or fewer, its prior has no quantiles, or there is no such label.
    """
    images(decoded_plane(run, label), ax)
    ax.set_xlabel("z1")
    ax.set_ylabel("z2")
    return ax


@checked
def thumbnails(model: VAE, images: Images, ax: Axes) -> Axes:
    """Images at their posterior means, or the first two principal components; those that would cover another are left out.

    Args:
        model: of two latents or more, on the same device as `images`.
        images: with their labels.
        ax: to draw into.

    Raises:
        UsageError: the model has one latent, or three.
    """
    points = cloud(model, images, 2)
    if len(points.columns) != 2:
        raise UsageError(f"{{model=}}: found latents: {model.latent_dim}, expected two, or more than three")
    draw_thumbnails(ax, points, images)
    return ax


@checked
def differences(found: Annotated[Sequence[Difference], Filled], ax: Axes, split: str = "test") -> Axes:
    """The differences of runs from the first, with two standard errors to either side; to the left is better.

    Args:
        found: from `vaecli.analysis.differences.differences`.
        ax: to draw into.
        split: the name of the images.
    """
    draw_differences(ax, found, split)
    return ax


@checked
def search(outcome: Any, name: str, ax: Axes) -> Axes:
    """The bound of each run of a search against a setting that varied; lower is better.

    Args:
        outcome: of `vaecli.search`.
        name: of the setting, such as ``latent_dim``.
        ax: to draw into.

    Raises:
        UsageError: it is no outcome of a search, or this setting did not vary.
    """
    from vaecli.plotting.search_plot import bound_caption, draw_setting
    from vaecli.studies.run_plan import Outcome

    check("outcome", outcome, Outcome)
    if name not in outcome.plan.space.varied:
        raise UsageError(f"{{name}}: expected a setting that varied, one of {', '.join(outcome.plan.space.varied)}", name=name)
    draw_setting(ax, name, outcome)
    ax.set_ylabel(bound_caption(outcome))
    ax.legend(frameon=False)
    return ax
