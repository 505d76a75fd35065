"""Figure 13: the bottom of a digit from its top."""

from dataclasses import replace

import torch
from torch import Tensor

from vaecli.analysis.inpainting import mean_image_scores
from vaecli.analysis.masks import half
from vaecli.data import Images
from vaecli.evaluation.quadrature import exact_log_prob_of_parts
from vaecli.report.definitions import Z2, Figure, Measured
from vaecli.report.evidence import Evidence
from vaecli.report.verdicts import LEVEL, NO, YES, Decisions, Finding, PairedDifference, paired_difference, together

DIGIT = 0

ZEROS, QUICK_ZEROS = 500, 20
"""Zeros that are measured, of which the picture shows the first."""

OTHERS, QUICK_OTHERS = 3, 1
"""Tops of other digits that each bottom is set against."""

QUICK_SIDES = (50, 50)
"""The grid of a quick pass, whose numbers are rough."""


def _bottoms(evidence: Evidence) -> Measured:
    model, test, train = evidence.runs[0].model, evidence.test, evidence.train()
    zeros = test[test.labels == DIGIT][: QUICK_ZEROS if evidence.quick else ZEROS]
    observed = half("top", model.image_shape)
    x = model.observe(zeros.pixels)
    of_all, of_digit = mean_image_scores(model, train, x, zeros.labels, ~observed)
    own, without, others = [], [], []
    for runs in evidence.seeds:
        one = replace(evidence, seeds=[runs])
        given, alone = _log_prob_of_bottoms(one, zeros.pixels, zeros.labels)
        own.append(given)
        without.append(alone)
        others.append(_given_other_tops(one, zeros))
    return {
        "count": len(zeros),
        "without": paired_difference(list(zip(without, own, strict=True))),
        "others": paired_difference(list(zip(others, own, strict=True))),
        "of_digit": paired_difference([(of_digit, given) for given in own]),
        "of_all": float(of_all.mean()),
    }


def _given_other_tops(evidence: Evidence, zeros: Images) -> Tensor:
    """The mean over other digits' tops of log p(bottom | top) of zeros: shape (N,)."""
    several, observed = QUICK_OTHERS if evidence.quick else OTHERS, half("top", zeros.shape)
    # the first zero with the first images of other digits, the second one with those that follow, and so on
    others = evidence.test[evidence.test.labels != DIGIT][: len(zeros) * several]
    mixed = torch.where(observed, others.pixels, zeros.pixels.repeat_interleave(several, 0))
    given, _ = _log_prob_of_bottoms(evidence, mixed, others.labels)
    return torch.stack(given.split(several)).mean(1)


def _log_prob_of_bottoms(evidence: Evidence, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The values of log p(bottom | top) and log p(bottom) of images (N, D) with labels (N,): two tensors of shape (N,)."""
    model = evidence.runs[0].model
    x = model.observe(pixels)
    sides = QUICK_SIDES if evidence.quick else None
    observed = half("top", model.image_shape)
    tops, bottoms, both = exact_log_prob_of_parts(model, x, labels, observed, model.posterior(x), sides).log_prob
    return both - tops, bottoms


def _judge_bottoms(
    count: int, without: PairedDifference, others: PairedDifference, of_digit: PairedDifference, of_all: float, level: float = LEVEL
) -> Finding:
    """Judges log p of the bottoms of zeros, in nats, exactly: by quadrature over both latents.

    Args:
        count: of zeros.
        without: given no top, and given their own.
        others: given the tops of other digits, a mean over several, and given their own.
        of_digit: of the mean zero, and given their own top.
        of_all: of the mean image of all digits.
        level: at which a difference counts.
    """
    decisions = Decisions(level)
    parts = [
        decisions.above("likelier than given other digits' tops", others),
        decisions.above("likelier than given none", without),
    ]
    reading = {
        YES: "The model, which does not see the label, is ahead of the mean image of the zeros.",
        NO: "The mean image of the zeros, for which the label has to be known, is ahead of the model.",
    }.get(
        decisions.above("likelier than by the mean image of the zeros", of_digit, claimed=False),
        "The model, which does not see the label, and the mean image of the zeros do not differ by more than their error.",
    )
    return Finding(
        f"log p(bottom | top) of {count} zeros is {without.second:.2f} nats with their own tops and {others.first:.2f} with the tops of "
        f"other digits: {others.words()}. By the same model log p(bottom) without any top is {without.first:.2f}: {without.words()}. The "
        f"mean image of all digits has {of_all:.2f}, the mean image of the zeros {of_digit.first:.2f}; the model's is that plus "
        f"{of_digit.words()}.",
        together(parts),
        reading,
        f"{without.second:.2f} nats, {others.first:.2f} with another digit's top, {without.first:.2f} without: log p(bottom)",
        decisions=decisions.made,
    )


INPAINTING = Figure(
    13,
    "The bottom of a digit from its top",
    "8",
    "the bottom part shape seems to follow the shape of the top part",
    (Z2,),
    "inpaint",
    _bottoms,
    _judge_bottoms,
    "To follow the top counts as both: the bottom is more probable given its own top than given other digits' tops, and than given none.",
    options={"label": DIGIT, "n": 20},
    quick={"n": 5},
    compares=True,
)
