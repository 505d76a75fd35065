"""Figures 5 to 7: models that are given labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vaecli.report.definitions import FULL, PARTIAL, Z3, Figure
from vaecli.report.differences import Compared
from vaecli.report.evidence import Evidence, agreements, entropies, evaluations, reconstructions, sampled
from vaecli.report.finding import UNCLAIMED, Finding, above, below, by_part, together
from vaecli.runs.run import Run


@dataclass(frozen=True)
class Networks:
    """Where the networks take the label.

    Attributes:
        fed: names of the layers that take it, with the inputs that it adds.
        by_label: parameters that multiply it.
        parameters: all of them.
    """

    fed: Sequence[tuple[str, int]]
    by_label: int
    parameters: int


def _networks(evidence: Evidence) -> Networks:
    layers: Sequence[dict[str, Any]] = evidence.measured["layers"]
    return Networks(
        [(layer["name"], layer["labels"]) for layer in layers if layer["labels"]],
        sum(layer["label_parameters"] for layer in layers),
        evidence.measured["parameters"],
    )


def _judge_networks(data: Networks) -> Finding:
    fed = " and ".join(f"{name} takes {inputs} inputs more" for name, inputs in data.fed)
    return Finding(
        f"{fed or 'No layer takes the label'}: {data.by_label:,} of {data.parameters:,} parameters.",
        UNCLAIMED,
        ours=f"{data.by_label:,} parameters multiply the label",
    )


ARCHITECTURE = Figure(
    5,
    "Encoder and decoder with labels",
    "3",
    "The new encoder and decoder are fed with true labels in one-hot vector format.",
    (),
    "train",
    _networks,
    _judge_networks,
    options={"labels": "full", "latent_dim": 3, "dry_run": True},
)


def _agreeing(evidence: Evidence) -> Compared:
    return evidence.compare(agreements(evidence), first=1, second=0)


def _judge_given_labels(apart: Compared) -> Finding:
    reading = "The two do not differ by more than their error."
    if apart.below():
        reading = "Given the label, the latents say less of it."
    elif apart.above():
        reading = "Given the label, the latents say more of it."
    return Finding(
        f"Neighbours agree on the label for {apart.second:.1%} of the test digits, for {apart.first:.1%} in the model without labels: "
        f"{apart.percent()}.",
        UNCLAIMED,
        reading,
        f"{apart.second:.1%} with labels, {apart.first:.1%} without: neighbours agree on the digit",
    )


GIVEN_LABELS = Figure(
    6,
    "Latent space in three dimensions, given the labels",
    "3",
    "Below (Figure 6) is the visualization of the 3D latent space representation given the labels",
    (FULL,),
    "latent-plot",
    _agreeing,
    _judge_given_labels,
    options={"csv": True},
    also=(Z3,),
    compares=True,
)


@dataclass(frozen=True)
class Labelled:
    """What models draw that were trained with half of the labels and with all of them, compared in this order.

    Attributes:
        accuracy: of the classifier.
        drawn: shares of samples that are taken for the digit asked for.
        entropy: nats, of a reconstruction's pixels.
        elbo: of the test images.
    """

    accuracy: float
    drawn: Compared
    entropy: Compared
    elbo: Compared


def _labelled(evidence: Evidence) -> Labelled:
    classifier, means, evaluation = evidence.classifier(), reconstructions(evidence), evaluations(evidence)

    def compare(values: Callable[[Run], Tensor]) -> Compared:
        return evidence.compare(values, first=1, second=0)

    def right(run: Run) -> Tensor:
        return classifier.right(*sampled(run.model))

    return Labelled(
        classifier.accuracy,
        compare(right),
        compare(lambda run: entropies(means(run))),
        compare(lambda run: evaluation(run).elbo),
    )


def _judge_complete(data: Labelled) -> Finding:
    drawn, entropy, elbo = data.drawn, data.entropy, data.elbo
    asked, clear = above(drawn), below(entropy)
    return Finding(
        f"A classifier, right on {data.accuracy:.1%} of the test digits, sees the digit asked for in {drawn.second:.1%} of the samples where "
        f"all labels were known, in {drawn.first:.1%} where half were: {drawn.percent()}. A reconstruction has {entropy.second:.1f} nats of "
        f"entropy with all labels and {entropy.first:.1f} with half: {entropy.words()}. Test -ELBO {-elbo.second:.2f} nats and "
        f"{-elbo.first:.2f}.",
        together([asked, clear]),
        by_part({"the digit asked for": asked, "less entropy": clear}),
        ours=f"{drawn.second:.1%} with all labels, {drawn.first:.1%} with half: the digit asked for is drawn",
    )


COMPLETE = Figure(
    7,
    "Complete and incomplete labels",
    "3",
    "the conditional VAE generates more clear digits with complete labels and blurry digits with incomplete labels",
    (FULL, PARTIAL),
    "compare",
    _labelled,
    _judge_complete,
    "More clear counts as both: the digit asked for is drawn more often, and a reconstruction's pixels have less entropy.",
    options={"n": 10, "samples": 100},
    compares=True,
)
