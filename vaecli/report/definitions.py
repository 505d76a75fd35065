"""The figures of the report: the runs of each, the command that draws it, and what the report says of it. No torch.

The report is "Variational AutoEncoder++", Feng Chen and Fanxuan Guo, University of Toronto, 2021.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vaecli.command_line import flag
from vaecli.errors import shown

Settings = Mapping[str, Any]

Z2: Settings = {}
Z3: Settings = {"latent_dim": 3}
FULL: Settings = {"labels": "full", "latent_dim": 3}
PARTIAL: Settings = {"labels": "partial", "latent_dim": 3}
FASHION: Settings = {"dataset": "fashion-mnist", "epochs": 3}
FASHION_CONV: Settings = {"dataset": "fashion-mnist", "epochs": 3, "arch": "conv"}
JSD: Settings = {"objective": "jsd", "epochs": 3}
IWAE5: Settings = {"latent_dim": 3, "objective": "iwae", "k": 5}
IWAE10: Settings = {"latent_dim": 3, "objective": "iwae", "k": 10}
BETA: Settings = {"likelihood": "beta"}


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    Attributes:
        number: the report's.
        title: what it shows.
        section: where the report says something of it.
        claim: what the report says there, in its own words.
        trains: the settings of the runs that it shows.
        command: the command that draws it.
        options: that command's options, as in Python.
        quick: the options that replace these in a quick pass.
        also: settings of runs that are measured for comparison but not drawn.
        shows: the pictures that are kept of those that ``compare`` draws.
        measures: whether its verdict needs the numbers that ``compare`` measures.
        theirs: the numbers that the report prints for it, and what they are; empty if it prints none.
    """

    number: int
    title: str
    section: str
    claim: str
    trains: tuple[Settings, ...]
    command: str
    options: Settings = field(default_factory=dict)
    quick: Settings = field(default_factory=dict)
    also: tuple[Settings, ...] = ()
    shows: tuple[str, ...] = ("reconstructions", "samples")
    measures: bool = False
    theirs: str = ""

    @cached_property
    def folder(self) -> str:
        """The folder of its pictures, beside the page."""
        return f"figure{self.number}"

    @property
    def draws(self) -> bool:
        """Whether it is a picture of runs; figure 5 is of an architecture, which needs no training."""
        return self.command != "train"

    def options_for(self, quick: bool) -> dict[str, Any]:
        """The options that it is drawn with, in a quick pass or in a whole one."""
        more: dict[str, Any] = {}
        if self.command == "compare":
            more |= {} if "k" in self.options else {"k": (0,)}  # no other figure is judged by a bound
            more |= {"limit": 500} if quick else {}
        return {**self.options, **more, **(self.quick if quick else {})}

    def words(self, runs: Sequence[str], options: Settings) -> list[str]:
        """The words of the command line that draws it.

        Args:
            runs: the runs' names or folders.
            options: in Python's words; True for those without a value.
        """
        return [self.command, *runs, *(word for name, value in options.items() for word in _words(name, value))]


def _words(name: str, value: object) -> list[str]:
    return [flag(name)] if value is True else [flag(name), shown(value)]


FIGURES = (
    Figure(
        1,
        "Latent spaces in three and in two dimensions",
        "2.2",
        "we could clearly see how each group of digit is located in the 3D space which is more expressive than 2D latent space",
        (Z3, Z2),
        "latent-plot",
    ),
    Figure(
        2,
        "Samples from the prior, two and three dimensions",
        "2.3",
        "the right column of reconstructed digits is more realistic than those in the left column",
        (Z2, Z3),
        "compare",
        shows=("samples",),
    ),
    Figure(
        3,
        "Training loss, two and three dimensions",
        "2.3",
        "the loss in 3D latent space reaches a lower loss than that in 2D latent space",
        (Z2, Z3),
        "compare",
        shows=("losses",),
        measures=True,
        theirs="170.37 in 2-D, 148.76 in 3-D: loss of one batch",
    ),
    Figure(
        4,
        "Variance along each latent dimension",
        "2.4",
        "as the number of latent dimensions increase, the variance along with each latent dimension increases",
        (Z2, Z3),
        "latent-plot",
        {"variance": True},
    ),
    Figure(
        5,
        "Encoder and decoder with labels",
        "3",
        "The new encoder and decoder are fed with true labels in one-hot vector format.",
        (),
        "train",
        {"labels": "full", "latent_dim": 3, "dry_run": True},
    ),
    Figure(
        6,
        "Latent space in three dimensions, given the labels",
        "3",
        "Below (Figure 6) is the visualization of the 3D latent space representation given the labels",
        (FULL,),
        "latent-plot",
        also=(Z3,),
    ),
    Figure(
        7,
        "Complete and incomplete labels",
        "3",
        "the conditional VAE generates more clear digits with complete labels and blurry digits with incomplete labels",
        (FULL, PARTIAL),
        "compare",
        {"n": 10},
        measures=True,
    ),
    Figure(
        8,
        "Fashion-MNIST",
        "4",
        "It is easy to recognize the cloth type. However, some details are missing.",
        (FASHION,),
        "compare",
        measures=True,
    ),
    Figure(
        9,
        "The Jensen-Shannon divergence instead of KL",
        "5",
        "The reconstructed digits are similar to digits generated by the baseline model using KL divergence",
        (JSD,),
        "compare",
        also=(Z2,),
    ),
    Figure(
        10,
        "Losses of IWAE, k = 5 and k = 10",
        "6",
        "The loss of k = 10 is smaller than the loss of k = 5, which means We get a tighter log-likelihood lower bound when we "
        "increase the value of k",
        (IWAE5, IWAE10),
        "compare",
        {"k": (500,), "limit": 2000},
        {"k": (50,), "limit": 200},
        shows=("losses",),
        measures=True,
        theirs="151.98 with k = 5, 140.98 with k = 10: lowest loss of a batch",
    ),
    Figure(
        11,
        "Reconstructions of IWAE, k = 5 and k = 10",
        "6",
        "compared to the reconstructed digits for k = 5, the reconstructed digits for k = 10 are clearer, cleaner and closer to "
        "the original handwritten digit",
        (IWAE5, IWAE10),
        "compare",
        {"n": 3},
        shows=("reconstructions",),
    ),
    Figure(
        12,
        "Beta likelihood on grey pixels",
        "7",
        "the reconstructed digits are blurry and hard to distinguish",
        (BETA,),
        "compare",
        also=(Z2,),
    ),
    Figure(
        13,
        "The bottom of a digit from its top",
        "8",
        "the bottom part shape seems to follow the shape of the top part",
        (Z2,),
        "inpaint",
        {"label": 0, "n": 20},
        {"n": 5, "steps": 100},
    ),
    Figure(
        14,
        "Convolutions on Fashion-MNIST",
        "9",
        "Aleco utilizes convolutional and deconvolutional layers in the encoder and decoder models which produces "
        "better-reconstructed results",
        (FASHION, FASHION_CONV),
        "compare",
        measures=True,
    ),
)
