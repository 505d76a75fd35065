"""Figure 12: the Beta likelihood on grey pixels."""

from torch import Tensor

from vaecli.report.definitions import BETA, Z2, Figure, Measured
from vaecli.report.evidence import Evidence
from vaecli.report.verdicts import Finding, PairedDifference, above, below, by_part, together
from vaecli.runs.run import Run


def _grey(evidence: Evidence) -> Measured:
    grey = evidence.test.pixels / 255

    def squared(run: Run) -> Tensor:
        return (evidence.reconstructions(run) - grey).square().mean(1)

    return {"squared": evidence.compare(squared, 1, 0), "seen": evidence.compare(evidence.recognised, 1, 0)}


def _judge_beta(squared: PairedDifference, seen: PairedDifference) -> Finding:
    """Judges the squared error of a grey pixel, and the share of reconstructions taken for their digit; the baseline is first."""
    blurry, hard = above(squared), below(seen)
    return Finding(
        f"The mean squared error of a grey pixel is {squared.second:.4f}; the baseline, which sees black and white only, has "
        f"{squared.first:.4f}: {squared.words(4)}. A classifier sees the digit in {seen.second:.1%} of the reconstructions, of the "
        f"baseline's in {seen.first:.1%}: {seen.percent()}.",
        together([blurry, hard]),
        by_part({"blurry": blurry, "hard to distinguish": hard}),
        ours=f"{squared.second:.4f} squared error, {seen.second:.1%} recognised; the baseline {squared.first:.4f}, {seen.first:.1%}",
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
    "Blurry counts as: a greater squared error than the baseline's. Hard to distinguish counts as: recognised less often than the "
    "baseline's.",
    options={"n": 15, "samples": 64},
    compares=True,
)
