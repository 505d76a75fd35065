"""The numbers that verdicts read."""

from contextlib import suppress

import torch

from vaecli.report import evidence, findings
from vaecli.report.definitions import FIGURES
from vaecli.seeding import generator


def test_numbers_are_measured_where_a_verdict_reads_them():
    class Reads(dict):
        def __missing__(self, name):
            read.add(name)
            raise KeyError(name)

    for figure in FIGURES:
        if figure.command == "compare":
            read = set()
            with suppress(Exception):
                findings.finding(figure, evidence.Evidence((), (), Reads(), None, None))
            assert read == ({"table"} if figure.measures else set()), figure.number


def test_neighbours_agree_where_labels_are_apart():
    def neighbours_agree(points, labels):
        return float(evidence.agreement(points, labels).double().mean())

    labels = torch.arange(400) % 2
    apart = torch.randn(400, 2, generator=generator("cpu", "points")) + 20 * labels.unsqueeze(1)
    assert neighbours_agree(apart, labels) == 1
    mixed = torch.randn(400, 2, generator=generator("cpu", "points"))
    assert 0.35 < neighbours_agree(mixed, labels) < 0.65
