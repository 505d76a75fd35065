"""Figures 5 to 7: models that are given labels."""

from collections.abc import Sequence

from vaecli.analysis.architecture import architecture
from vaecli.config import Config
from vaecli.report.definitions import FULL, PARTIAL, Z3, Figure, Measured
from vaecli.report.evidence import Evidence, entropies, sampled
from vaecli.report.figures.dimensions import agreeing
from vaecli.report.verdicts import LEVEL, NO, UNCLAIMED, YES, Decisions, Finding, PairedDifference, together


def _networks(evidence: Evidence) -> Measured:
    layers = architecture(Config(**FULL))
    fed = [(layer.name, layer.labels) for layer in layers.layers if layer.labels]
    return {"fed": fed, "by_label": layers.label_parameters, "parameters": layers.parameters}


def _judge_networks(fed: Sequence[tuple[str, int]], by_label: int, parameters: int, level: float = LEVEL) -> Finding:
    """Describes the layers that take the label, with the inputs that it adds, and the parameters that multiply it, of all; no level decides."""
    more = " and ".join(f"{name} takes {inputs} inputs more" for name, inputs in fed)
    return Finding(
        f"{more or 'No layer takes the label'}: {by_label:,} of {parameters:,} parameters.",
        UNCLAIMED,
        ours=f"{by_label:,} parameters multiply the label",
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


def _judge_given_labels(apart: PairedDifference, level: float = LEVEL) -> Finding:
    decisions = Decisions(level)
    reading = {
        YES: "Given the label, the latents say more of it.",
        NO: "Given the label, the latents say less of it.",
    }.get(
        decisions.above("neighbours agree more often with labels than without", apart, digits=None, claimed=False),
        "The two do not differ by more than their error.",
    )
    return Finding(
        f"Neighbours agree on the label for {apart.second:.1%} of the test digits, for {apart.first:.1%} in the model without labels: "
        f"{apart.percent()}.",
        UNCLAIMED,
        reading,
        f"{apart.second:.1%} with labels, {apart.first:.1%} without: neighbours agree on the digit",
        decisions=decisions.made,
    )


GIVEN_LABELS = Figure(
    6,
    "Latent space in three dimensions, given the labels",
    "3",
    "Below (Figure 6) is the visualization of the 3D latent space representation given the labels",
    (FULL,),
    "latent-plot",
    agreeing,
    _judge_given_labels,
    options={"csv": True},
    also=(Z3,),
    compares=True,
)


def _labelled(evidence: Evidence) -> Measured:
    classifier = evidence.classifier()
    return {
        "accuracy": classifier.accuracy,
        "drawn": evidence.compare(lambda run: classifier.right(*sampled(run.model)), 1, 0),
        "entropy": evidence.compare(lambda run: entropies(evidence.reconstructions(run)), 1, 0),
        "elbo": evidence.compare(lambda run: evidence.evaluation(run).elbo, 1, 0),
    }


def _judge_complete(
    accuracy: float, drawn: PairedDifference, entropy: PairedDifference, elbo: PairedDifference, level: float = LEVEL
) -> Finding:
    """Judges models trained with half of the labels, the first, and with all of them.

    Args:
        accuracy: of the classifiers.
        drawn: shares of samples that are taken for the digit asked for.
        entropy: nats, of a reconstruction's pixels.
        elbo: of the test images.
        level: at which a difference counts.
    """
    decisions = Decisions(level)
    asked = decisions.above("the digit asked for is drawn more often with all labels than with half", drawn, digits=None)
    clear = decisions.below("less entropy with all labels than with half", entropy, digits=1)
    return Finding(
        f"Classifiers, right on {accuracy:.1%} of the test digits, see the digit asked for in {drawn.second:.1%} of the samples where "
        f"all labels were known, in {drawn.first:.1%} where half were: {drawn.percent()}. A reconstruction has {entropy.second:.1f} nats of "
        f"entropy with all labels and {entropy.first:.1f} with half: {entropy.words()}. Test -ELBO {-elbo.second:.2f} nats and "
        f"{-elbo.first:.2f}.",
        together([asked, clear]),
        ours=f"{drawn.second:.1%} with all labels, {drawn.first:.1%} with half: the digit asked for is drawn",
        decisions=decisions.made,
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
