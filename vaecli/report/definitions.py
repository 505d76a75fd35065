"""The figures of the report: what each needs trained, how it is drawn and what the report says of it. No torch.

The report is "Variational AutoEncoder++", Feng Chen and Fanxuan Guo, University of Toronto, 2021.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vaecli.config import flag

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
    """One figure.

    Attributes:
        number: the report's.
        title: what it shows.
        claim: what the report says of it.
        trains: the settings of the runs that it shows, which `draw` is given the names of.
        draw: the command that draws it, and its options.
        quick: options for a quick pass, with their values; they replace those of `draw`.
        also: settings of runs that are measured beside it but not drawn.
        shows: which of several pictures that ``compare`` draws.
    """

    number: int
    title: str
    claim: str
    trains: tuple[Settings, ...]
    draw: tuple[str, ...]
    quick: Mapping[str, str] = field(default_factory=dict)
    also: tuple[Settings, ...] = ()
    shows: tuple[str, ...] = ("reconstructions", "samples")

    @cached_property
    def folder(self) -> str:
        """What its pictures are kept under."""
        return f"figure{self.number}"

    @property
    def draws(self) -> bool:
        """Whether `draw` is of runs; figure 5 is of an architecture, which needs no training."""
        return self.draw[0] != "train"

    def words(self, runs: Sequence[str], more: Mapping[str, str]) -> list[str]:
        """The words of the command line that draws it.

        Args:
            runs: the runs' names or folders.
            more: options with their values, which replace those of `draw`.
        """
        options = list(self.draw[1:])
        for option, value in more.items():
            if option in options:
                options[options.index(option) + 1] = value
            else:
                options += [option, value]
        return [self.draw[0], *runs, *options]


def train_command(settings: Settings, name: str | None = None) -> str:
    """The line that trains a run with these settings, under its own name or another."""
    words = [word for setting, value in settings.items() for word in (flag(setting), str(value))]
    return shlex.join(["vaecli", "train", *words, *(["--name", name] if name else [])])


FIGURES = (
    Figure(
        1,
        "Latent spaces in three and in two dimensions",
        "With a third dimension it is clear where each group of digits lies: the space is more expressive.",
        (Z3, Z2),
        ("latent-plot",),
    ),
    Figure(
        2,
        "Samples from the prior, two and three dimensions",
        "Samples from the 3-D model are more realistic than those from the 2-D model.",
        (Z2, Z3),
        ("compare",),
        shows=("samples",),
    ),
    Figure(
        3,
        "Training loss, two and three dimensions",
        "The 3-D model reaches the lower loss.",
        (Z2, Z3),
        ("compare",),
        shows=("losses",),
    ),
    Figure(
        4,
        "Variance along each latent dimension",
        "With more latent dimensions the variance along each of them rises.",
        (Z2, Z3),
        ("latent-plot", "--variance"),
    ),
    Figure(
        5,
        "Encoder and decoder with labels",
        "Encoder and decoder are both fed the label as a one-hot vector.",
        (),
        ("train", "--labels", "full", "--latent-dim", "3", "--dry-run"),
    ),
    Figure(
        6,
        "Latent space in three dimensions, given the labels",
        "The report shows this space and says nothing of it.",
        (FULL,),
        ("latent-plot",),
        also=(Z3,),
    ),
    Figure(
        7,
        "Complete and incomplete labels",
        "With complete labels the digits are clear, with incomplete ones they are blurry.",
        (FULL, PARTIAL),
        ("compare", "--n", "10"),
    ),
    Figure(
        8,
        "Fashion-MNIST",
        "The type of clothing is easy to recognise, but details are missing.",
        (FASHION,),
        ("compare",),
    ),
    Figure(
        9,
        "The Jensen-Shannon divergence in the place of KL",
        "Reconstructed digits are similar to those of the baseline, which has KL.",
        (JSD,),
        ("compare",),
        also=(Z2,),
    ),
    Figure(
        10,
        "Losses of IWAE, k = 5 and k = 10",
        "k = 10 has the smaller loss, by 11 nats, since the bound is tighter with more particles.",
        (IWAE5, IWAE10),
        ("compare", "--k", "500", "--limit", "2000"),
        {"--k": "50", "--limit": "200"},
        shows=("losses",),
    ),
    Figure(
        11,
        "Reconstructions of IWAE, k = 5 and k = 10",
        "Those with k = 10 are clearer, cleaner and closer to the digits.",
        (IWAE5, IWAE10),
        ("compare", "--n", "3"),
        shows=("reconstructions",),
    ),
    Figure(
        12,
        "Beta likelihood on grey pixels",
        "Reconstructions are blurry and hard to tell apart.",
        (BETA,),
        ("compare",),
        also=(Z2,),
    ),
    Figure(
        13,
        "The bottom of a digit from its top",
        "The shape of the bottom follows the shape of the top.",
        (Z2,),
        ("inpaint", "--digit", "0", "--n", "20"),
        {"--n": "5", "--steps": "100"},
    ),
    Figure(
        14,
        "Convolutions on Fashion-MNIST",
        "Convolutional networks give the better reconstructions.",
        (FASHION, FASHION_CONV),
        ("compare",),
    ),
)
