"""Figures 8 and 14: Fashion-MNIST, without and with convolutions."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vaecli.report.definitions import FASHION, FASHION_CONV, Figure, Measured
from vaecli.report.evidence import Evidence
from vaecli.report.verdicts import Finding, PairedDifference, above, below, by_part, paired_difference, together
from vaecli.runs.find import read_log

EASY = 0.75
"""The share of the recognised images whose reconstructions have to be recognised too, if that is to count as easy."""


def steps(pictures: Tensor, width: int) -> Tensor:
    """The sum over pixels of the steps to the pixels on the right and below, of pictures (N, D) of one channel: shape (N,)."""
    rows = pictures.double().unflatten(-1, (-1, width))
    across, down = ((rows.diff(dim=side)).abs().sum((-1, -2)) for side in (-1, -2))
    return torch.add(across, down)


def _clothes(evidence: Evidence) -> Measured:
    (run,), test, width = evidence.runs, evidence.test, evidence.runs[0].model.image_shape.width
    images = run.model.observe(test.pixels)
    of_images, of_means = evidence.classifier().right(images, test.labels), evidence.recognised(run)
    return {
        "seen": paired_difference([(of_images, of_means)]),
        "enough": paired_difference([(EASY * of_images, of_means)]),
        "detail": paired_difference([(steps(images, width), steps(evidence.reconstructions(run), width))]),
    }


def _judge_clothes(seen: PairedDifference, enough: PairedDifference, detail: PairedDifference) -> Finding:
    """Judges what reconstructions keep of clothes.

    Args:
        seen: shares of images, as the model sees them, and of reconstructions that the classifier takes for their type.
        enough: EASY of the former, and the latter.
        detail: the sum of steps between neighbouring pixels, of images and of reconstructions.
    """
    easy, missing = above(enough), below(detail)
    return Finding(
        f"A classifier sees the type of clothing in {seen.first:.1%} of the test images, in black and white, and in {seen.second:.1%} of their "
        f"reconstructions: {seen.percent()}. Differences between neighbouring pixels add up to {detail.first:.0f} in an image and to "
        f"{detail.second:.0f} in its reconstruction: {detail.words(1)}.",
        together([easy, missing]),
        f"{by_part({'easy to recognise': easy, 'details are missing': missing})} Reconstructions are recognised "
        f"{seen.second / max(seen.first, 1e-9):.0%} as often as the images; easy would be {EASY:.0%}.",
        ours=f"{seen.second:.1%} of reconstructions recognised, {seen.first:.1%} of images",
    )


FASHION_MNIST = Figure(
    8,
    "Fashion-MNIST",
    "4",
    "It is easy to recognize the cloth type. However, some details are missing.",
    (FASHION,),
    "compare",
    _clothes,
    _judge_clothes,
    f"Easy counts as: at least {EASY:.0%} as often as the images themselves. Details are missing where neighbouring pixels "
    "differ less.",
    options={"n": 15, "samples": 64},
)


def _convolved(evidence: Evidence) -> Measured:
    logs = [[read_log(run.path) for run in runs] for runs in evidence.seeds]
    return {
        "kept": evidence.compare(lambda run: evidence.evaluation(run).reconstruction),
        "seen": evidence.compare(evidence.recognised),
        "elbo": evidence.compare(lambda run: evidence.evaluation(run).elbo),
        "parameters": [sum(weights.numel() for weights in run.model.parameters()) for run in evidence.runs],
        "seconds": [sum(row["seconds"] for of_seed in logs for row in of_seed[which]) / len(logs) for which in (0, 1)],
        "epochs": [len(log) for log in logs[0]],
    }


def _judge_convolutions(
    kept: PairedDifference,
    seen: PairedDifference,
    elbo: PairedDifference,
    parameters: Sequence[int],
    seconds: Sequence[float],
    epochs: Sequence[int],
) -> Finding:
    """Judges a dense and a convolutional model, in this order.

    Args:
        kept: log p(x|z), nats.
        seen: shares of reconstructions taken for their type.
        elbo: nats.
        parameters: of both.
        seconds: training time of both models, the mean over seeds.
        epochs: of both.
    """
    (dense, conv), (quick, slow) = parameters, seconds
    costs = f"Convolutions take {slow / quick:.1f} times the seconds of training, and {conv / dense:.2f} times the parameters."
    return Finding(
        f"log p(x|z) of the test images is {kept.second:.2f} nats with convolutions and {kept.first:.2f} without: {kept.words()}; test -ELBO "
        f"{-elbo.second:.2f} and {-elbo.first:.2f}; {seen.second:.1%} and {seen.first:.1%} of the reconstructions are recognised. "
        f"{conv:,} and {dense:,} parameters, {slow:.0f} and {quick:.0f} seconds, {_epochs(epochs)}.",
        above(kept),
        costs,
        f"{kept.second:.2f} nats, {kept.first:.2f} without convolutions: log p(x|z)",
    )


def _epochs(counts: Sequence[int]) -> str:
    if len(set(counts)) > 1:
        return f"{counts[1]} and {counts[0]} epochs"
    return "one epoch each" if counts[0] == 1 else f"{counts[0]} epochs each"


CONVOLUTIONS = Figure(
    14,
    "Convolutions on Fashion-MNIST",
    "9",
    "Aleco utilizes convolutional and deconvolutional layers in the encoder and decoder models which produces "
    "better-reconstructed results",
    (FASHION, FASHION_CONV),
    "compare",
    _convolved,
    _judge_convolutions,
    "Better counts as: the images are more probable given their latents, a greater log p(x|z).",
    options={"n": 10, "samples": 64},
    compares=True,
)
