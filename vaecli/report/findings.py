"""The finding of each figure: what is measured of it, and whether the numbers bear out what the report says.

Every verdict is a comparison of a difference with its standard error, by `decided`; where no number can decide, none is given.
"""

import math
from collections.abc import Callable

import torch

from vaecli.evaluation.encode import encode
from vaecli.evaluation.importance import Evaluation, evaluate
from vaecli.report.definitions import Figure
from vaecli.report.differences import Difference, paired, unpaired
from vaecli.report.evidence import SAMPLES, Evidence, agreements, entropies, reconstructed, sampled, table
from vaecli.report.finding import UNCLAIMED, UNDECIDED, Finding, decided
from vaecli.runs.run import Run
from vaecli.seeding import generator

CLAIMED_GAP = 11
"""Nats by which the report's k = 10 is ahead of its k = 5."""


@torch.inference_mode()
def finding(figure: Figure, evidence: Evidence, judged: bool = True) -> Finding:
    """The finding of a figure; its numbers alone where it is not to be `judged`."""
    judgement = _FINDINGS[figure.number](evidence)
    return judgement if judged else Finding(judgement.text, None, ours=judgement.ours)


def _latent_spaces(evidence: Evidence) -> Finding:
    three, two = (agreed.double() for agreed in agreements(evidence, *evidence.trained))
    apart = paired(two, three)
    return Finding(
        f"The 10 nearest neighbours of a test digit's mean agree on its label for {three.mean():.1%} of the digits in 3-D and for "
        f"{two.mean():.1%} in 2-D.",
        *decided(apart),
        ours=f"{two.mean():.1%} in 2-D, {three.mean():.1%} in 3-D: neighbours agree on the digit",
    )


def _samples(evidence: Evidence) -> Finding:
    two, three = (entropies(sampled(run.model)) for run in evidence.trained)
    return Finding(
        f"The pixels of a sample have {three.mean():.1f} nats of entropy in 3-D and {two.mean():.1f} in 2-D.",
        *decided(unpaired(three, two)),
        "Less entropy is sharper; realism itself is not measured.",
        ours=f"{two.mean():.1f} nats in 2-D, {three.mean():.1f} in 3-D: entropy of a sample's pixels",
    )


def _losses(evidence: Evidence) -> Finding:
    two, three, gained = table(evidence, "elbo")
    return Finding(
        f"Test -ELBO {-three:.2f} nats in 3-D and {-two:.2f} in 2-D; the report's own models have 167.6 and 176.1.",
        *decided(Difference(-gained.value, gained.error)),
        ours=f"{-two:.2f} in 2-D, {-three:.2f} in 3-D: test -ELBO",
    )


def _variances(evidence: Evidence) -> Finding:
    images = evidence.test[: evidence.measured["variance"][0]["images"]]
    two, three = (encode(run.model, images).variance.mean(1) for run in evidence.trained)
    spreads = [value for run in evidence.measured["variance"] for value in run["variance_of_means"]]
    return Finding(
        f"The posterior's variance is {two.mean():.4f} a dimension in 2-D and {three.mean():.4f} in 3-D; the variance of the posterior "
        f"means over images is {min(spreads):.2f} to {max(spreads):.2f}.",
        *decided(paired(two, three)),
        ours=f"{two.mean():.4f} in 2-D, {three.mean():.4f} in 3-D: variance a dimension",
    )


def _architecture(evidence: Evidence) -> Finding:
    layers = evidence.measured["layers"]
    by_label = sum(layer["label_parameters"] for layer in layers)
    fed = [f"{layer['name']} takes {layer['labels']} inputs more" for layer in layers if layer["labels"]]
    return Finding(
        f"{' and '.join(fed) or 'No layer takes the label'}: {by_label:,} of {evidence.measured['parameters']:,} parameters.",
        None,
        UNCLAIMED,
        ours=f"{by_label:,} parameters multiply the label",
    )


def _given_labels(evidence: Evidence) -> Finding:
    given, without = (agreed.double() for agreed in agreements(evidence, evidence.trained[0], evidence.also[0]))
    apart = paired(given, without)
    if apart.below():
        reading = "Given the label, the latents say less of it."
    else:
        reading = (
            "Given the label, the latents say more of it." if apart.above() else "The two do not differ by more than their error."
        )
    return Finding(
        f"Neighbours agree on the label for {given.mean():.1%} of the test digits, for {without.mean():.1%} in the model without labels.",
        None, UNCLAIMED, reading, f"{given.mean():.1%} with labels, {without.mean():.1%} without: neighbours agree on the digit",
    )  # fmt: skip


def _complete(evidence: Evidence) -> Finding:
    full, partial, gained = table(evidence, "elbo")
    return Finding(
        f"Test -ELBO {-full:.2f} nats with all labels and {-partial:.2f} with half of them.",
        *decided(gained),
        ours=f"{-full:.2f} with all labels, {-partial:.2f} with half: test -ELBO",
    )


def _fashion(evidence: Evidence) -> Finding:
    (run,), (row,) = evidence.trained, evidence.measured["table"]
    average = run.model.pixel_likelihood(run.model.pixel_likelihood.output_for(run.model.mean_image(evidence.train())))
    blind = -float(average.log_prob(run.model.observe(evidence.test.pixels, generator("cpu", "report"))).mean())
    (agreed,) = agreements(evidence, run)
    most = paired(torch.full((len(agreed),), 0.5), agreed)
    return Finding(
        f"Test -ELBO {-row['elbo']:.2f} nats, against {blind:.2f} of the mean image alone; neighbours in the latent space agree on the type "
        f"of clothing for {agreed.double().mean():.1%} of the test images.",
        *decided(most),
        "More than half counts as easy to recognise; details are not measured.",
        ours=f"{agreed.double().mean():.1%}: neighbours agree on the type",
    )


def _jensen_shannon(evidence: Evidence) -> Finding:
    ours, theirs = _evaluations(evidence, evidence.trained[0], evidence.also[0])
    lost, further = paired(theirs.reconstruction, ours.reconstruction), paired(ours.kl, theirs.kl)
    if further.above():
        reading = (
            "The posterior is further from the prior than with KL, and so are the latents of samples from those of digits evidence."
        )
    else:
        reading = "The posterior is no further from the prior than with KL."
    return Finding(
        f"log p(x|z) is {ours.reconstruction.mean():.2f} nats, with KL {theirs.reconstruction.mean():.2f}. "
        f"KL(posterior || prior) is {ours.kl.mean():.2f} nats, with KL {theirs.kl.mean():.2f}; the divergence is never above "
        "log 2 = 0.69.",
        not lost.above(),
        reading=f"A reconstruction no worse counts as similar. {reading}",
        ours=f"{ours.reconstruction.mean():.2f} nats, {theirs.reconstruction.mean():.2f} with KL: log p(x|z)",
    )


def _evaluations(evidence: Evidence, *runs: Run) -> list[Evaluation]:
    return [evaluate(run.model, evidence.test) for run in runs]


def _iwae(evidence: Evidence) -> Finding:
    rows = evidence.measured["table"]
    k = max(rows[0]["L"], key=int)
    five, ten = (-row["L"][k] for row in rows)
    gap = Difference(five - ten, math.hypot(*(row["standard_error"]["L"].get(k, math.inf) for row in rows)))
    if gap.above(CLAIMED_GAP) or gap.below(CLAIMED_GAP):
        holds: bool | None = gap.above(CLAIMED_GAP)
    else:
        holds = True if gap.above() else None
    return Finding(
        f"Judged by one bound for both, -L_{k} of {rows[0]['images']:,} test digits is {five:.2f} nats (k = 5) and {ten:.2f} (k = 10): "
        f"a difference of {gap.value:.2f}, with an error of at most {gap.error:.2f}; the report's is {CLAIMED_GAP}.",
        holds,
        UNDECIDED if holds is None else "",
        ""
        if holds is not False
        else "Commentary: the report trained k = 10 on from the weights of k = 5, and printed the lowest batch.",
        f"{five:.2f} with k = 5, {ten:.2f} with k = 10: test -L_{k}",
    )


def _clearer(evidence: Evidence) -> Finding:
    five, ten = (reconstructed(run.model, evidence.test[:SAMPLES]) for run in evidence.trained)
    return Finding(
        f"Pixels of the two reconstructions differ by {(five - ten).abs().mean():.3f} on average. A reconstruction has "
        f"{entropies(five).mean():.1f} nats of entropy with k = 5 and {entropies(ten).mean():.1f} with k = 10.",
        *decided(paired(entropies(ten), entropies(five))),
        "Less entropy is clearer.",
        ours=f"{entropies(five).mean():.1f} nats with k = 5, {entropies(ten).mean():.1f} with k = 10: entropy of a reconstruction",
    )


def _beta(evidence: Evidence) -> Finding:
    images = evidence.test[:SAMPLES]
    ours, theirs = (
        (reconstructed(run.model, images) - images.pixels / 255).square().mean(1) for run in (evidence.trained[0], evidence.also[0])
    )
    return Finding(
        f"The mean squared error of a grey pixel is {ours.mean():.4f}; the baseline, which sees black and white only, has {theirs.mean():.4f}.",
        *decided(paired(theirs, ours)),
        ours=f"{ours.mean():.4f}, the baseline {theirs.mean():.4f}: squared error of a pixel",
    )


def _inpainting(evidence: Evidence) -> Finding:
    names = ("log_p_missing_given_seen", "log_p_missing", "mean_image", "mean_image_of_label")
    given, alone, of_all, of_label = (torch.tensor([image[name] for image in evidence.measured["images"]]) for name in names)
    # if the bottom follows the top, it is more probable once the top is seen
    gain, lead = paired(given, alone), paired(given, of_label)
    if lead.above():
        reading = "The model, which does not see the label, is ahead of the mean zero."
    elif lead.below():
        reading = "The mean zero, for which the label has to be known, is ahead of the model."
    else:
        reading = "The model, which does not see the label, and the mean zero do not differ by more than two standard errors."
    return Finding(
        f"log p(bottom | top) of {len(given)} zeros is {given.mean():.2f} nats, log p(bottom) by the same model {alone.mean():.2f}: seeing "
        f"the top gains {gain.value:.2f} ±{gain.error:.2f}. The mean image of all digits has {of_all.mean():.2f}, the mean zero "
        f"{of_label.mean():.2f}; the model's lead over that is {lead.value:.2f} ±{lead.error:.2f}.",
        *decided(paired(alone, given)),
        reading,
        f"{given.mean():.2f} nats, {alone.mean():.2f} without the top: log p(bottom)",
    )


def _convolutions(evidence: Evidence) -> Finding:
    dense, conv, gained = table(evidence, "reconstruction")
    elbos = [-row["elbo"] for row in evidence.measured["table"]]
    return Finding(
        f"log p(x|z) of the test images is {conv:.2f} nats with convolutions and {dense:.2f} without, test -ELBO {elbos[1]:.2f} and "
        f"{elbos[0]:.2f}, after {_epochs(evidence)}.",
        *decided(Difference(-gained.value, gained.error)),
        ours=f"{conv:.2f} nats, {dense:.2f} without convolutions: log p(x|z)",
    )


def _epochs(evidence: Evidence) -> str:
    counts = [row["epochs"] for row in evidence.measured["table"]]
    if len(set(counts)) > 1:
        return f"{' and '.join(map(str, reversed(counts)))} epochs"
    return "one epoch each" if counts[0] == 1 else f"{counts[0]} epochs each"


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
