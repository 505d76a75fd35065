"""Figures 8 and 14: Fashion-MNIST, without and with convolutions."""

from collections.abc import Sequence

from vaecli.report.definitions import FASHION, FASHION_CONV, FASHION_LONGER, LONGER, Figure, Measured
from vaecli.report.evidence import Evidence, steps
from vaecli.report.verdicts import LEVEL, Decisions, Finding, PairedDifference, paired_difference, together
from vaecli.runs.find import read_log


def _clothes(evidence: Evidence) -> Measured:
    runs, test, width = [first for first, *_ in evidence.seeds], evidence.test, evidence.runs[0].model.image_shape.width
    run = runs[0]
    images = run.model.observe(test.pixels)
    of_images, of_means = evidence.classifier().right(images, test.labels), [evidence.recognised(run) for run in runs]
    return {
        "seen": paired_difference([(of_images, each) for each in of_means]),
        "missed": paired_difference([(1 - each, each) for each in of_means]),
        "detail": paired_difference([(steps(images, width), steps(evidence.reconstructions(run), width)) for run in runs]),
    }


def _judge_clothes(seen: PairedDifference, missed: PairedDifference, detail: PairedDifference, level: float = LEVEL) -> Finding:
    """Judges what reconstructions keep of clothes.

    Args:
        seen: shares of images, as the model sees them, and of reconstructions that the classifiers take for their type.
        missed: shares of reconstructions that the classifiers take for another type, and for their own.
        detail: the sum of steps between neighbouring pixels, of images and of reconstructions.
        level: at which a difference counts.
    """
    decisions = Decisions(level)
    easy = decisions.above("easy to recognise: taken for their own type more often than for another", missed, digits=None)
    missing = decisions.below("details are missing: smaller steps between neighbours than in the images", detail, digits=1)
    return Finding(
        f"Classifiers see the type of clothing in {seen.first:.1%} of the test images, in black and white, and in {seen.second:.1%} of their "
        f"reconstructions: {seen.percent()}. Differences between neighbouring pixels add up to {detail.first:.0f} in an image and to "
        f"{detail.second:.0f} in its reconstruction: {detail.words(1)}.",
        together([easy, missing]),
        f"Reconstructions are recognised {seen.second / max(seen.first, 1e-9):.0%} as often as the images.",
        ours=f"{seen.second:.1%} of reconstructions recognised, {seen.first:.1%} of images",
        decisions=decisions.made,
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
    "Easy counts as: whoever names what a reconstruction shows is more often right than wrong. Details are missing where neighbouring "
    "pixels differ less than in the images.",
    options={"n": 15, "samples": 64},
    compares=True,
)


def _convolved(evidence: Evidence) -> Measured:
    logs = [[read_log(run.path) for run in runs] for runs in evidence.seeds]
    return {
        "kept": evidence.compare(evidence.closeness),
        "as_long": evidence.compare(evidence.closeness, 2, 1),
        "seen": evidence.compare(evidence.recognised),
        "elbo": evidence.compare(lambda run: evidence.evaluation(run).elbo),
        "parameters": [sum(weights.numel() for weights in run.model.parameters()) for run in evidence.runs[:2]],
        "seconds": [sum(row["seconds"] for of_seed in logs for row in of_seed[which]) / len(logs) for which in (0, 1, 2)],
        "epochs": [len(log) for log in logs[0]],
    }


def _judge_convolutions(
    kept: PairedDifference,
    as_long: PairedDifference,
    seen: PairedDifference,
    elbo: PairedDifference,
    parameters: Sequence[int],
    seconds: Sequence[float],
    epochs: Sequence[int],
    level: float = LEVEL,
) -> Finding:
    """Judges a dense and a convolutional model, in this order.

    Args:
        kept: log p(x|z) over the posterior, nats, after as many updates.
        as_long: the same, of a dense model that was trained LONGER times as long, and of the convolutional one.
        seen: shares of reconstructions taken for their type.
        elbo: nats.
        parameters: of both.
        seconds: training time of both models and of the dense one that was trained longer, the mean over seeds.
        epochs: of these three.
        level: at which a difference counts.
    """
    (dense, conv), (quick, slow, longer) = parameters, seconds
    decisions = Decisions(level)
    parts = [
        decisions.above("better than without convolutions after as many updates", kept),
        decisions.above(f"better than without convolutions after {epochs[2] / epochs[1]:.3g} times as many updates", as_long),
    ]
    costs = f"Convolutions take {slow / quick:.1f} times the seconds of training, and {conv / dense:.2f} times the parameters."
    return Finding(
        f"log p(x|z) of the test images is {kept.second:.2f} nats with convolutions and {kept.first:.2f} without: {kept.words()}; test -ELBO "
        f"{-elbo.second:.2f} and {-elbo.first:.2f}; {seen.second:.1%} and {seen.first:.1%} of the reconstructions are recognised. "
        f"{conv:,} and {dense:,} parameters, {slow:.0f} and {quick:.0f} seconds, {_epochs(epochs[1])} and {_epochs(epochs[0])}. Trained "
        f"for {_epochs(epochs[2])}, {longer:.0f} seconds, the model without convolutions has {as_long.first:.2f}: {as_long.words()}.",
        together(parts),
        costs,
        f"{kept.second:.2f} nats; without convolutions {kept.first:.2f}, trained for as long {as_long.first:.2f}: log p(x|z)",
        decisions=decisions.made,
    )


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


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
    "Better counts as: the images are more probable given their latents, a greater log p(x|z), both where the model without convolutions "
    f"makes as many updates, and where it trains for as long. Seconds cannot be repeated, so as long counts as {LONGER} times as many "
    "updates; the seconds here stand beside it.",
    options={"n": 10, "samples": 64},
    also=(FASHION_LONGER,),
    compares=True,
)
