"""What is measured of each figure, and whether it bears out what the report says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaecli.checkpoint import Checkpoint
from vaecli.data import Images, load_images
from vaecli.latents import encode
from vaecli.model import VAE
from vaecli.report.definitions import Figure
from vaecli.seeding import generator

NEIGHBOURS = 10
SAMPLES = 1000


@dataclass(frozen=True)
class Finding:
    """What came out.

    Attributes:
        text: one or two sentences, with the numbers.
        holds: whether the report's claim does; None where that is no matter of yes or no.
        words: what to say then.
    """

    text: str
    holds: bool | None
    words: str = ""


@dataclass(frozen=True)
class Evidence:
    """What a figure is judged by.

    Attributes:
        trained: the runs that it shows.
        also: the runs that it is measured against.
        told: what the command that drew it printed as JSON.
        test: the test images of those runs.
        train: reads the training images.
    """

    trained: Sequence[Checkpoint]
    also: Sequence[Checkpoint]
    told: dict[str, Any]
    test: Images
    train: Callable[[], Images]


def evidence(trained: Sequence[Checkpoint], also: Sequence[Checkpoint], told: dict[str, Any]) -> Evidence:
    """Gathers what `finding` needs."""
    dataset = trained[0].config.dataset if trained else "mnist"
    return Evidence(trained, also, told, load_images(dataset, "test"), lambda: load_images(dataset, "train"))


@torch.inference_mode()
def finding(figure: Figure, seen: Evidence) -> Finding:
    """The finding of a figure."""
    return _FINDINGS[figure.number](seen)


def neighbours_agree(points: Tensor, labels: Tensor) -> float:
    """How often most of a point's 10 nearest neighbours have its own label: of points (N, D) with labels (N,), a share of N."""
    agreed = 0
    for rows in torch.arange(len(points)).split(1000):
        nearest = torch.cdist(points[rows], points).topk(NEIGHBOURS + 1, largest=False).indices[:, 1:]
        agreed += int((labels[nearest].mode(1).values == labels[rows]).sum())
    return agreed / len(points)


def entropy(model: VAE, seed: str = "report") -> float:
    """Nats of a Bernoulli image given its latents, the mean over draws from the prior: the less, the sharper its pixels."""
    p = model.likelihood(model.prior.rsample((SAMPLES,), generator("cpu", seed))).mean.double().clamp(1e-12, 1 - 1e-12)
    return float(-(p * p.log() + (1 - p) * (1 - p).log()).sum(-1).mean())


def _agreement(run: Checkpoint, seen: Evidence) -> float:
    return neighbours_agree(encode(run.model, seen.test).mu, seen.test.labels)


def _elbos(seen: Evidence) -> list[float]:
    return [-run["elbo"] for run in seen.told["runs"]]


def _latent_spaces(seen: Evidence) -> Finding:
    three, two = (_agreement(run, seen) for run in seen.trained)
    return Finding(
        f"The 10 nearest neighbours of a test digit's mean agree on its label for {three:.1%} of the digits in 3-D and for "
        f"{two:.1%} in 2-D.",
        three > two,
    )


def _samples(seen: Evidence) -> Finding:
    two, three = (entropy(run.model) for run in seen.trained)
    return Finding(
        f"Realism is in the eye; what can be measured is how sure of its pixels the decoder is: {three:.1f} nats of entropy a sample "
        f"in 3-D, {two:.1f} in 2-D; less is sharper.",
        three < two if abs(three / two - 1) > 0.01 else None,
        "Not to be told by this measure",
    )


def _losses(seen: Evidence) -> Finding:
    two, three = _elbos(seen)
    return Finding(
        f"Test -ELBO {three:.2f} nats in 3-D and {two:.2f} in 2-D; the report's own models have 167.6 and 176.1.", three < two
    )


def _variances(seen: Evidence) -> Finding:
    two, three = (each["mean_posterior_variance"] for each in seen.told["variance"])
    spreads = [value for each in seen.told["variance"] for value in each["variance_of_means"]]
    means = [sum(each) / len(each) for each in (two, three)]
    return Finding(
        f"The posterior's variance is {means[0]:.4f} a dimension in 2-D and {means[1]:.4f} in 3-D. Both are small beside the "
        f"variance of the posterior means over images, {min(spreads):.2f} to {max(spreads):.2f}.",
        means[1] > means[0],
    )


def _architecture(seen: Evidence) -> Finding:
    by_label = sum(each["label_parameters"] for each in seen.told["layers"])
    fed = [each["name"] for each in seen.told["layers"] if each["labels"]]
    return Finding(
        f"{' and '.join(fed)} take 10 inputs more each, {by_label:,} of {seen.told['parameters']:,} parameters. In the report's code "
        "the decoder was fed digit 0 for every image.",
        True,
    )


def _given_labels(seen: Evidence) -> Finding:
    given, without = _agreement(seen.trained[0], seen), _agreement(seen.also[0], seen)
    return Finding(
        f"The digits lie over each other: neighbours agree on the label for {given:.1%} of the test digits, for {without:.1%} in the "
        "model without labels. Once the label is given, the latents need not say it again.",
        None,
        "Nothing is claimed",
    )


def _complete(seen: Evidence) -> Finding:
    full, partial = _elbos(seen)
    return Finding(f"Test -ELBO {full:.2f} nats with all labels and {partial:.2f} with half of them.", full < partial)


def _fashion(seen: Evidence) -> Finding:
    (run,) = seen.trained
    (found,) = _elbos(seen)
    average = run.model.pixel_likelihood(run.model.pixel_likelihood.output_for(run.model.mean_image(seen.train())))
    blind = -float(average.log_prob(run.model.observe(seen.test.pixels, generator("cpu", "report"))).mean())
    agreed = _agreement(run, seen)
    return Finding(
        f"Test -ELBO {found:.2f} nats, against {blind:.2f} of the mean image alone; neighbours in the latent space agree on the type "
        f"of clothing for {agreed:.1%} of the test images.",
        agreed > 0.5 and found < blind,
    )


def _jensen_shannon(seen: Evidence) -> Finding:
    ours, theirs = seen.told["runs"][0], seen.also[0].results
    return Finding(
        f"For reconstructions it does: log p(x|z) is {ours['reconstruction']:.2f} nats, with KL {theirs['test_reconstruction']:.2f}. "
        f"But the divergence is never above log 2 = 0.69 nats, hardly holds the posterior to the prior (KL {ours['kl']:.2f}, with KL "
        f"{theirs['test_kl']:.2f}), and so samples from the prior are not like digits.",
        None,
        "In part",
    )


def _iwae(seen: Evidence) -> Finding:
    bounds = [{int(k): -value for k, value in run["L"].items()} for run in seen.told["runs"]]
    k = max(bounds[0])
    five, ten = (each[k] for each in bounds)
    return Finding(
        f"Judged by one bound for both, -L_{k} of {seen.told['runs'][0]['images']:,} test digits is {five:.2f} nats (k = 5) and {ten:.2f} "
        f"(k = 10): a difference of {five - ten:.2f}, not 11. In the report k = 10 was trained on from the weights of k = 5, its loss is not "
        "the bound, and the lowest batch of an epoch was printed; the 11 nats are five more epochs.",
        False,
    )


def _clearer(seen: Evidence) -> Finding:
    five, ten = (entropy(run.model) for run in seen.trained)
    means = []
    for run in seen.trained:
        q = run.model.posterior(run.model.observe(seen.test.pixels[:SAMPLES], generator("cpu", "report")))
        means.append(run.model.likelihood(q.mu).mean)
    apart = float((means[0] - means[1]).abs().mean())
    return Finding(
        f"Pixels of the two reconstructions differ by {apart:.3f} on average. A decoder that draws clearer is surer of its pixels: "
        f"{five:.1f} nats of entropy a sample with k = 5, {ten:.1f} with k = 10; a difference of less than 5 % is taken for none.",
        ten < 0.95 * five,
    )


def _beta(seen: Evidence) -> Finding:
    errors = []
    for run in (*seen.trained, *seen.also):
        x = run.model.observe(seen.test.pixels[:SAMPLES], generator("cpu", "report"))
        shown = run.model.likelihood(run.model.posterior(x).mu).mean
        errors.append(float((shown - seen.test.pixels[:SAMPLES] / 255).square().mean()))
    return Finding(
        f"The mean squared error of a grey pixel is {errors[0]:.4f}; the baseline, which sees black and white only, has {errors[1]:.4f}.",
        errors[0] > errors[1],
    )


def _inpainting(seen: Evidence) -> Finding:
    ours, blind = seen.told["mean"], seen.told["mean_image"]
    return Finding(
        f"log p(bottom | top) is {ours:.2f} nats for {len(seen.told['images'])} zeros, against {blind:.2f} of the mean image.",
        ours > blind,
    )


def _convolutions(seen: Evidence) -> Finding:
    dense, conv = _elbos(seen)
    return Finding(f"Test -ELBO {conv:.2f} nats with convolutions and {dense:.2f} without, after 3 epochs each.", conv < dense)


_FINDINGS: dict[int, Callable[[Evidence], Finding]] = {
    1: _latent_spaces,
    2: _samples,
    3: _losses,
    4: _variances,
    5: _architecture,
    6: _given_labels,
    7: _complete,
    8: _fashion,
    9: _jensen_shannon,
    10: _iwae,
    11: _clearer,
    12: _beta,
    13: _inpainting,
    14: _convolutions,
}
