"""Figure 13: the bottom of a digit from its top."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vaecli.analysis.masks import half
from vaecli.evaluation.quadrature import exact_log_prob_of_parts
from vaecli.report.definitions import Z2, Figure
from vaecli.report.differences import Compared, compared
from vaecli.report.evidence import Evidence
from vaecli.report.finding import Finding, above, together
from vaecli.seeding import generator

DIGIT = 0

OTHERS, QUICK_OTHERS = 9, 1
"""Tops of other digits that each bottom is set against."""

QUICK_SIDES = (50, 50)
"""The grid of a quick pass, whose numbers are rough."""


@dataclass(frozen=True)
class Bottoms:
    """log p of the bottoms of zeros, in nats, exactly: by quadrature over both latents.

    Attributes:
        count: of zeros.
        without: given no top, and given their own.
        others: given the tops of other digits, a mean over several, and given their own.
        mean_of_digit: of the mean zero, and given their own top.
        mean_of_all: of the mean image of all digits.
    """

    count: int
    without: Compared
    others: Compared
    mean_of_digit: Compared
    mean_of_all: float


def _bottoms(evidence: Evidence) -> Bottoms:
    def column(name: str) -> Tensor:
        return torch.tensor([image[name] for image in evidence.measured["images"]], dtype=torch.float64)

    own = column("log_p_missing_given_seen")
    return Bottoms(
        len(own),
        compared([(column("log_p_missing"), own)]),
        compared([(_given_other_tops(evidence, len(own)), own)]),
        compared([(column("mean_image_of_label"), own)]),
        float(column("mean_image").mean()),
    )


def _given_other_tops(evidence: Evidence, count: int) -> Tensor:
    """The mean over other digits' tops of log p(bottom | top), of the first zeros of the test images: shape (count,)."""
    model, test = evidence.runs[0].model, evidence.test
    several, seen = QUICK_OTHERS if evidence.quick else OTHERS, half("top", model.image_shape)
    zeros = test[test.labels == DIGIT][:count]
    # the first zero with the first images of other digits, the second one with those that follow, and so on
    others = test[test.labels != DIGIT][: count * several]
    noise = generator("cpu", "report")
    mixed = torch.where(seen, others.pixels, zeros.pixels.repeat_interleave(several, 0))
    x = model.observe(mixed, noise)
    posterior = model.posterior(x)
    sides = QUICK_SIDES if evidence.quick else None
    exact = exact_log_prob_of_parts(model, x, others.labels, seen, posterior, sides)
    tops, _, both = exact.log_prob
    return torch.stack((both - tops).split(several)).mean(1)


def _judge_bottoms(data: Bottoms) -> Finding:
    without, others, of_digit = data.without, data.others, data.mean_of_digit
    reading = "The model, which does not see the label, and the mean zero do not differ by more than two standard errors."
    if of_digit.above():
        reading = "The model, which does not see the label, is ahead of the mean zero."
    elif of_digit.below():
        reading = "The mean zero, for which the label has to be known, is ahead of the model."
    return Finding(
        f"log p(bottom | top) of {data.count} zeros is {without.second:.2f} nats with their own tops and {others.first:.2f} with the tops of "
        f"other digits: {others.words()}. By the same model log p(bottom) without any top is {without.first:.2f}: {without.words()}. The "
        f"mean image of all digits has {data.mean_of_all:.2f}, the mean zero {of_digit.first:.2f}: {of_digit.words()}.",
        together([above(others), above(without)]),
        reading,
        f"{without.second:.2f} nats, {others.first:.2f} with another digit's top, {without.first:.2f} without: log p(bottom)",
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
    quick={"n": 5, "steps": 100},
)
