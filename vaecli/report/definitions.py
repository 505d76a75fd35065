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
        claim: what the report says of it.
        trains: the settings of the runs that it shows.
        command: the command that draws it.
        options: that command's options, as in Python.
        quick: the options that replace these in a quick pass.
        also: settings of runs that are measured for comparison but not drawn.
        shows: the pictures that are kept of those that ``compare`` draws.
        measures: whether its verdict needs the numbers that ``compare`` measures.
    """

    number: int
    title: str
    claim: str
    trains: tuple[Settings, ...]
    command: str
    options: Settings = field(default_factory=dict)
    quick: Settings = field(default_factory=dict)
    also: tuple[Settings, ...] = ()
    shows: tuple[str, ...] = ("reconstructions", "samples")
    measures: bool = False

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
        "With a third dimension it is clear where each group of digits lies: the space is more expressive.",
        (Z3, Z2),
        "latent-plot",
    ),
    Figure(
        2,
        "Samples from the prior, two and three dimensions",
        "Samples from the 3-D model are more realistic than those from the 2-D model.",
        (Z2, Z3),
        "compare",
        shows=("samples",),
    ),
    Figure(
        3,
        "Training loss, two and three dimensions",
        "The 3-D model reaches the lower loss.",
        (Z2, Z3),
        "compare",
        shows=("losses",),
        measures=True,
    ),
    Figure(
        4,
        "Variance along each latent dimension",
        "With more latent dimensions the variance along each of them rises.",
        (Z2, Z3),
        "latent-plot",
        {"variance": True},
    ),
    Figure(
        5,
        "Encoder and decoder with labels",
        "Encoder and decoder are both fed the label as a one-hot vector.",
        (),
        "train",
        {"labels": "full", "latent_dim": 3, "dry_run": True},
    ),
    Figure(
        6,
        "Latent space in three dimensions, given the labels",
        "The report shows this space and says nothing of it.",
        (FULL,),
        "latent-plot",
        also=(Z3,),
    ),
    Figure(
        7,
        "Complete and incomplete labels",
        "With complete labels the digits are clear, with incomplete ones they are blurry.",
        (FULL, PARTIAL),
        "compare",
        {"n": 10},
        measures=True,
    ),
    Figure(
        8,
        "Fashion-MNIST",
        "The type of clothing is easy to recognise, but details are missing.",
        (FASHION,),
        "compare",
        measures=True,
    ),
    Figure(
        9,
        "The Jensen-Shannon divergence instead of KL",
        "Reconstructed digits are similar to those of the baseline, which has KL.",
        (JSD,),
        "compare",
        also=(Z2,),
    ),
    Figure(
        10,
        "Losses of IWAE, k = 5 and k = 10",
        "k = 10 has the smaller loss, by 11 nats, since the bound is tighter with more particles.",
        (IWAE5, IWAE10),
        "compare",
        {"k": (500,), "limit": 2000},
        {"k": (50,), "limit": 200},
        shows=("losses",),
        measures=True,
    ),
    Figure(
        11,
        "Reconstructions of IWAE, k = 5 and k = 10",
        "Those with k = 10 are clearer, cleaner and closer to the digits.",
        (IWAE5, IWAE10),
        "compare",
        {"n": 3},
        shows=("reconstructions",),
    ),
    Figure(
        12,
        "Beta likelihood on grey pixels",
        "Reconstructions are blurry and hard to tell apart.",
        (BETA,),
        "compare",
        also=(Z2,),
    ),
    Figure(
        13,
        "The bottom of a digit from its top",
        "The shape of the bottom follows the shape of the top.",
        (Z2,),
        "inpaint",
        {"label": 0, "n": 20},
        {"n": 5, "steps": 100},
    ),
    Figure(
        14,
        "Convolutions on Fashion-MNIST",
        "Convolutional networks give the better reconstructions.",
        (FASHION, FASHION_CONV),
        "compare",
        measures=True,
    ),
)
