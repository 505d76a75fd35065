"""Figures 1 to 4: two latent dimensions against three."""

from collections.abc import Sequence

from vaecli.evaluation.encode import encode
from vaecli.report.definitions import Z2, Z3, Figure, Measured
from vaecli.report.evidence import Evidence, entropies, surprises
from vaecli.report.verdicts import IN_PART, LEVEL, NO, YES, Decisions, Finding, PairedDifference, paired_difference, together


def agreeing(evidence: Evidence) -> Measured:
    """How often neighbours agree on the label, of the second model shown and of the first: the report shows two dimensions last."""
    return {"apart": evidence.compare(evidence.agreement, 1, 0)}


def _judge_latent_spaces(apart: PairedDifference, level: float = LEVEL) -> Finding:
    decisions = Decisions(level)
    return Finding(
        f"More than half of the 10 nearest neighbours of a test digit's mean have its label for {apart.second:.1%} of the digits in 3-D "
        f"and for {apart.first:.1%} in 2-D: {apart.percent()}.",
        decisions.above("neighbours agree more often in 3-D than in 2-D", apart, digits=None),
        decisions=decisions.made,
        ours=f"{apart.first:.1%} in 2-D, {apart.second:.1%} in 3-D: neighbours agree on the digit",
    )


LATENT_SPACES = Figure(
    1,
    "Latent spaces in three and in two dimensions",
    "2.2",
    "we could clearly see how each group of digit is located in the 3D space which is more expressive than 2D latent space",
    (Z3, Z2),
    "latent-plot",
    agreeing,
    _judge_latent_spaces,
    "More expressive counts as: more than half of the nearest neighbours agree on the digit more often.",
    options={"csv": True},
    compares=True,
)


def _sampled(evidence: Evidence) -> Measured:
    classifier, samples = evidence.classifier(), evidence.samples
    return {
        "accuracy": classifier.accuracy,
        "seen": evidence.compare(lambda run: classifier.recognised(samples(run))),
        "sharp": evidence.compare(lambda run: entropies(samples(run))),
        "spread": evidence.compare(lambda run: surprises(classifier.classes(samples(run)), 10)),
    }


def _judge_samples(
    accuracy: float, seen: PairedDifference, sharp: PairedDifference, spread: PairedDifference, level: float = LEVEL
) -> Finding:
    """Judges samples from the prior in two and in three dimensions.

    Args:
        accuracy: of the classifiers.
        seen: shares of samples that are taken for some digit with confidence.
        sharp: nats, the entropy of a sample's pixels.
        spread: nats, the entropy of the digits that samples are taken for; of all ten alike it is 2.30.
        level: at which a difference counts.
    """
    decisions = Decisions(level)
    realistic = decisions.above("recognised with confidence more often in 3-D than in 2-D", seen, digits=None)
    evenly = decisions.above("digits drawn more evenly in 3-D than in 2-D", spread, claimed=False)
    diversity = {
        YES: "The digits drawn are more evenly spread in 3-D.",
        NO: "The digits drawn are less evenly spread in 3-D.",
    }.get(evenly, "The digits drawn are not seen to be more or less evenly spread in 3-D.")
    return Finding(
        f"Classifiers, right on {accuracy:.1%} of the test digits, recognise {seen.second:.1%} of the samples in 3-D with confidence "
        f"and {seen.first:.1%} in 2-D: {seen.percent()}. The pixels of a sample have {sharp.second:.1f} nats of entropy in 3-D and "
        f"{sharp.first:.1f} in 2-D; which digit is drawn has {spread.second:.2f} and {spread.first:.2f}, and would have 2.30 if all ten came equally often.",
        realistic,
        diversity,
        f"{seen.first:.1%} in 2-D, {seen.second:.1%} in 3-D: samples recognised as a digit",
        decisions=decisions.made,
    )


SAMPLES = Figure(
    2,
    "Samples from the prior, two and three dimensions",
    "2.3",
    "the right column of reconstructed digits is more realistic than those in the left column",
    (Z2, Z3),
    "compare",
    _sampled,
    _judge_samples,
    "More realistic counts as: the classifiers are confident of the digit (above 90 %) more often.",
    options={"samples": 64},
    compares=True,
    shows=("samples",),
)


def _elbos(evidence: Evidence) -> Measured:
    return {"apart": evidence.compare(lambda run: -evidence.evaluation(run).elbo)}


def _judge_losses(apart: PairedDifference, level: float = LEVEL) -> Finding:
    decisions = Decisions(level)
    return Finding(
        f"Test -ELBO {apart.second:.2f} nats in 3-D and {apart.first:.2f} in 2-D: {apart.words()}.",
        decisions.below("a lower test -ELBO in 3-D than in 2-D", apart),
        decisions=decisions.made,
        ours=f"{apart.first:.2f} in 2-D, {apart.second:.2f} in 3-D: test -ELBO",
    )


LOSSES = Figure(
    3,
    "Training loss, two and three dimensions",
    "2.3",
    "the loss in 3D latent space reaches a lower loss than that in 2D latent space",
    (Z2, Z3),
    "compare",
    _elbos,
    _judge_losses,
    "Lower counts as: a lower test -ELBO. Commentary: the report prints the loss of one batch in training; on the test images its own models, as "
    "published with it, have 176.1 in 2-D and 167.6 in 3-D.",
    compares=True,
    shows=("losses",),
    theirs="170.37 in 2-D, 148.76 in 3-D: loss of one batch",
)


def _spread(evidence: Evidence) -> Measured:
    pairs, of_means = [], []
    for runs in evidence.seeds:
        two, three = (encode(run.model, evidence.test) for run in runs)
        of_two, of_three = two.stddev.square(), three.stddev.square()
        pairs.append((of_two.mean(1), of_three[:, of_three.mean(0).argsort()]))
        of_means += [float(value) for q in (two, three) for value in q.mean.double().var(0)]
    dimensions = [paired_difference([(two, three[:, place]) for two, three in pairs]) for place in range(pairs[0][1].shape[1])]
    return {"dimensions": dimensions, "of_means": of_means}


def _judge_variances(dimensions: Sequence[PairedDifference], of_means: Sequence[float], level: float = LEVEL) -> Finding:
    """Judges variances of the posterior and of its means.

    Args:
        dimensions: the posterior's variance along each dimension of three, from the least to the greatest, against the mean of the
            two dimensions of the other model.
        of_means: the variance over images of the posterior's means, along each dimension of both models.
        level: at which a difference counts.
    """
    decisions = Decisions(level)
    names = [
        f"more variance along dimension {place} of 3-D, from the least, than in 2-D" for place in range(1, len(dimensions) + 1)
    ]
    verdicts = [decisions.above(name, apart, digits=5) for name, apart in zip(names, dimensions, strict=True)]
    verdict = together(verdicts)
    two, three = dimensions[0].first, [apart.second for apart in dimensions]
    along = ", ".join(f"{value:.4f}" for value in three)
    more, less = verdicts.count(YES), verdicts.count(NO)
    counted = f"{more} of the {len(three)} dimensions have more variance than the two on average, {less} less."
    return Finding(
        f"The posterior's variance is {two:.4f} a dimension in 2-D; along the three dimensions of 3-D, from the least to the greatest, it is "
        f"{along}: {'; '.join(apart.words(5) for apart in dimensions)}. The variance of the posterior means over images is "
        f"{min(of_means):.2f} to {max(of_means):.2f}.",
        verdict,
        counted if verdict == IN_PART else "",
        f"{two:.4f} in 2-D, {along} in 3-D: the posterior's variance",
        decisions=decisions.made,
    )


VARIANCES = Figure(
    4,
    "Variance along each latent dimension",
    "2.4",
    "as the number of latent dimensions increase, the variance along with each latent dimension increases",
    (Z2, Z3),
    "latent-plot",
    _spread,
    _judge_variances,
    "The claim holds where each of the three dimensions has more variance than the two have on average.",
    options={"variance": True, "csv": True},
    compares=True,
)
