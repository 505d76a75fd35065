"""Figure 12: the Beta likelihood on grey pixels."""

from torch import Tensor

from vaecli.report.definitions import BETA, Z2, Figure, Measured
from vaecli.report.evidence import Evidence, sharpness
from vaecli.report.verdicts import LEVEL, Decisions, Finding, PairedDifference, together
from vaecli.runs.run import Run


def _grey(evidence: Evidence) -> Measured:
    width = evidence.test.shape.width

    def sharp(run: Run) -> Tensor:
        images = run.model.observe(evidence.test.pixels)
        return sharpness(evidence.reconstructions(run), width) / sharpness(images, width).mean()

    return {"sharp": evidence.compare(sharp, 1, 0), "seen": evidence.compare(evidence.recognised, 1, 0)}


def _judge_beta(sharp: PairedDifference, seen: PairedDifference, level: float = LEVEL) -> Finding:
    """Judges the Beta likelihood, the second, beside the baseline.

    Args:
        sharp: the sharpness of reconstructions, as a share of that of the images which the model is shown.
        seen: shares of reconstructions taken for their digit.
        level: at which a difference counts.
    """
    decisions = Decisions(level)
    blurry = decisions.below("blurrier: less of the images' sharpness than the baseline keeps", sharp, digits=None)
    hard = decisions.below("hard to distinguish: recognised less often than the baseline's", seen, digits=None)
    return Finding(
        f"Reconstructions have {sharp.second:.1%} of the sharpness of the images that the model is shown, grey ones; the baseline's have "
        f"{sharp.first:.1%} of that of black and white ones: {sharp.percent()}. Classifiers see the digit in {seen.second:.1%} of the "
        f"reconstructions, of the baseline's in {seen.first:.1%}: {seen.percent()}.",
        together([blurry, hard]),
        ours=f"{sharp.second:.1%} of the images' sharpness, {seen.second:.1%} recognised; the baseline {sharp.first:.1%}, {seen.first:.1%}",
        decisions=decisions.made,
    )


BETA_LIKELIHOOD = Figure(
    12,
    "Beta likelihood on grey pixels",
    "7",
    "the reconstructed digits are blurry and hard to distinguish",
    (BETA, Z2),
    "compare",
    _grey,
    _judge_beta,
    "Sharpness is the sum of squared differences of neighbouring pixels, which the blur of an edge makes small; each model's is set "
    "against that of the images that it is shown. Hard to distinguish counts as: recognised less often than the baseline's.",
    options={"n": 15, "samples": 64},
    compares=True,
)
