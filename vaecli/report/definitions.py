"""What a figure of the report is, and the settings of the runs that figures show. No torch.

The report is "Variational AutoEncoder++", Feng Chen and Fanxuan Guo, University of Toronto, 2021.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vaecli.command_line import flag
from vaecli.errors import format_value

if TYPE_CHECKING:
    from vaecli.report.evidence import Evidence
    from vaecli.report.verdicts import Finding

Settings = Mapping[str, Any]
Measured = dict[str, Any]

Z2: Settings = {"init_bias": "random"}
"""The baseline, whose biases begin as PyTorch makes them, as the report's did; so do those of the others."""
Z3: Settings = {"latent_dim": 3, **Z2}
FULL: Settings = {"labels": "full", **Z3}
PARTIAL: Settings = {"labels": "partial", **Z3}
FASHION: Settings = {"dataset": "fashion-mnist", "epochs": 3, **Z2}
LONGER = 7
"""How many times the seconds of the model without convolutions one with them trains, on two cores (docs/report.md)."""
FASHION_LONGER: Settings = {"dataset": "fashion-mnist", "epochs": 3 * LONGER, **Z2}
"""Fashion-MNIST without convolutions, trained for about as many seconds as with them."""
FASHION_CONV: Settings = {"dataset": "fashion-mnist", "epochs": 3, "arch": "conv", **Z2}
JSD: Settings = {"objective": "jsd", "epochs": 3, **Z2}
KL_AS_LONG: Settings = {"epochs": 3, **Z2}
"""The baseline, trained for as long as the model with the Jensen-Shannon divergence."""
IWAE5: Settings = {"latent_dim": 3, "objective": "iwae", "k": 5, **Z2}
IWAE5_LONGER: Settings = {**IWAE5, "epochs": 10}
"""Trained for as long as a model of k = 10 that goes on from one of k = 5."""
IWAE10: Settings = {"latent_dim": 3, "objective": "iwae", "k": 10, **Z2}
BETA: Settings = {"likelihood": "beta", **Z2}


SEEDS = (0, 1, 2)
"""The seeds of the runs of a figure that compares models."""


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
        measure: measures runs and images: numbers by name.
        judge: the finding on such numbers, its arguments: in words, and the verdict that they give.
        how: how the verdict is reached, where the numbers do not say so.
        options: the command's options, as in Python.
        quick: the options that replace these in a quick pass.
        also: settings of runs that are measured for comparison but not drawn.
        compares: whether models are compared, so that each is trained with several seeds.
        shows: the pictures that are kept of those that ``compare`` draws.
        theirs: the numbers that the report prints for it, and what they are; empty if it prints none.
    """

    number: int
    title: str
    section: str
    claim: str
    trains: tuple[Settings, ...]
    command: str
    measure: Callable[[Evidence], Measured] = field(repr=False)
    judge: Callable[..., Finding] = field(repr=False)
    how: str = ""
    options: Settings = field(default_factory=dict)
    quick: Settings = field(default_factory=dict)
    also: tuple[Settings, ...] = ()
    compares: bool = False
    shows: tuple[str, ...] = ("reconstructions", "samples")
    theirs: str = ""

    @cached_property
    def folder(self) -> str:
        """The folder of its pictures, beside the page."""
        return f"figure{self.number}"

    @property
    def needs_fashion(self) -> bool:
        """Whether it is of Fashion-MNIST, which does not come with vaecli."""
        return any(settings.get("dataset") == "fashion-mnist" for settings in self.trains)

    @property
    def draws(self) -> bool:
        """Whether it is a picture of runs; figure 5 is of an architecture, which needs no training."""
        return self.command != "train"

    def runs(self, quick: bool) -> list[tuple[Settings, ...]]:
        """The settings of the runs that are measured, those shown before the others, for each seed; in a quick pass for one."""
        settings = (*self.trains, *self.also)
        return [settings, *(tuple({**one, "seed": seed} for one in settings) for seed in SEEDS[1:] if self.compares and not quick)]

    def options_for(self, quick: bool) -> dict[str, Any]:
        """The options that it is drawn with, in a quick pass or in a whole one."""
        more: dict[str, Any] = {}
        if self.command == "compare":
            more |= {} if "k" in self.options else {"k": (0,)}  # no other figure is judged by a bound
            more |= {"limit": 500} if quick else {}
        return {**self.options, **more, **(self.quick if quick else {})}

    def words(self, runs: Sequence[str], options: Settings) -> list[str]:
        """The words of the command line that draws it, of runs by name or folder; options are True where they have no value."""
        given = ([flag(name)] if value is True else [flag(name), format_value(value)] for name, value in options.items())
        return [self.command, *runs, *itertools.chain(*given)]
