"""Plots inside the page: their dots lie where the data says, and names are text."""

import json
import re
from xml.etree import ElementTree

import pytest
import torch

from tests.helpers import REPORTED
from vaecli.analysis.comparison import Curve
from vaecli.analysis.latents import Cloud, Variances
from vaecli.plotting.palette import class_colours, hex_of
from vaecli.report import svg as drawing
from vaecli.report.page import assets
from vaecli.report.plots import clouds, curves, variances
from vaecli.report.svg import svg

NAME = "<b>&'\"$\n"


def rows_of(part, name):
    return [{"run": name, **{key: str(value) for key, value in row.items()}} for row in part.rows()]


def parsed(plot):
    return ElementTree.fromstring(svg(plot, assets()["plot.svg.j2"]))


def dots(path):
    return torch.tensor([[float(v) for v in pair] for pair in re.findall(r"M(\S+) (\S+)h0", path.get("d"))])


def test_curves_have_a_dot_for_each_epoch():
    rows = rows_of(Curve(NAME, [1, 2, 3], [30.0, 10.0, 20.0], [5.0, 4.0, 3.0]), NAME)
    rows += rows_of(Curve("b", [1, 2, 3], [40.0, 50.0, 60.0], [1.0, 2.0, 3.0]), "b")
    found = curves(rows)
    assert [plot.title for plot in found.plots] == ["Training loss", "Test -ELBO"]
    assert [name for name, _ in found.legend] == [NAME, "b"]
    picture = parsed(found.plots[0])
    circles = [(float(c.get("cx")), float(c.get("cy")), c[0].text) for c in picture.iter("circle")]
    assert [text for _, _, text in circles[:2]] == [f"{NAME}, epoch 1: 30.00 nats", f"{NAME}, epoch 2: 10.00 nats"]
    (x1, y1, _), (x2, y2, _), (x3, y3, _) = circles[:3]
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2) and x2 > x1
    assert (y3 - y2) / (y1 - y2) == pytest.approx(0.5, abs=0.01) and y2 > y1  # 10 is below 30, and 20 is half way
    lines = [line.get("points").split() for line in picture.iter("polyline")]
    assert lines[0] == [f"{x:g},{y:g}" for x, y, _ in circles[:3]]
    assert len(lines) == 2
    inside = torch.tensor([[x, y] for x, y, _ in circles])
    assert inside[:, 0].min() >= drawing.LEFT and inside[:, 0].max() <= drawing.RIGHT
    assert inside[:, 1].min() >= drawing.TOP and inside[:, 1].max() <= drawing.BOTTOM


def test_a_cloud_has_a_dot_for_each_image_and_no_class_covers_another():
    labels = torch.arange(600) % 3
    points = torch.rand(600, 2, generator=torch.Generator().manual_seed(0))
    rows = rows_of(Cloud(points, labels, ("a", "b", "c"), ("z1", "z2")), "run")
    found = clouds(rows)
    paths = [path for path in parsed(found.plots[0]).iter("path") if path.get("class") == "cloud"]
    assert [path[0].text for path in paths[:4]] == ["0", "1", "2", "0"]
    placed = torch.cat([dots(path) for path in paths if path[0].text == "1"])
    for axis, sign in ((0, 1), (1, -1)):
        both = torch.stack((placed[:, axis], sign * points[labels == 1][:, axis]))
        assert torch.corrcoef(both)[0, 1] > 0.9999
    colours = {path[0].text: path.get("stroke") for path in paths}
    assert colours == dict(found.legend) and len(set(colours.values())) == 3


def test_a_class_keeps_its_colour_where_others_do_not_occur():
    points = torch.rand(4, 2, generator=torch.Generator().manual_seed(0))
    rows = rows_of(Cloud(points, torch.tensor([0, 2, 7, 7]), tuple("0123456789"), ("z1", "z2")), "run")
    assert clouds(rows).legend == [(str(label), hex_of(class_colours(10)[label])) for label in (0, 2, 7)]


def test_three_latents_are_seen_from_the_side_with_their_axes():
    points = torch.eye(3).repeat(4, 1)
    rows = rows_of(Cloud(points, torch.zeros(12, dtype=torch.long), ("a",), ("z1", "z2", "z3")), "run")
    picture = parsed(clouds(rows).plots[0])
    assert [text.text for text in picture.iter("text")][-3:] == ["z1", "z2", "z3"]
    (z1, z2, z3) = torch.cat([dots(path) for path in picture.iter("path") if path.get("class") == "cloud"])[:3]
    assert z3[1] < z2[1] < z1[1]  # up is up; of the others, z1 comes towards the reader and z2 goes away
    assert z2[0] > z3[0] or z1[0] > z3[0]


def test_variances_are_logarithmic_with_their_means():
    spread = Variances(torch.tensor([[0.0, 1.0], [2.0, 1.5]]), torch.tensor([[0.01, 0.1], [0.01, 1.0]]))
    (plot,) = variances(rows_of(spread, "run")).plots
    titles = [title.text for title in parsed(plot).iter("title")]
    assert "mean over images, latent 2: 0.5500" in titles
    assert "variance over images of the posterior means, latent 1: 1.0000" in titles
    cloud = torch.cat([dots(path) for path in parsed(plot).iter("path") if path.get("class") == "cloud"])
    heights = cloud[:, 1].sort().values
    assert heights[1] - heights[0] == pytest.approx(float(heights[2] - heights[1]), abs=0.3)  # 1, 0.1 and 0.01


def test_the_page_plots_a_file_beside_it_and_draws_it_anew_if_it_was_changed(drawn, tmp_path):
    data = tmp_path / "report-quick/figure3/compare-losses.csv"
    text = (tmp_path / "report-quick/index.html").read_text()
    assert text.count('<svg class="plot"') == 2
    assert 'href="figure3/compare-losses.csv"' in text
    rows = data.read_bytes()
    data.write_bytes(rows.replace(b"mnist-z2", b"other-z2"))
    assert json.loads(drawn("report", *REPORTED, "--json").out)["drawn"] == [3]
    assert data.read_bytes() == rows
