"""What a notebook shows of results: small, without anything from elsewhere, names as they are written."""

import io
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.helpers import BASELINE
from vaecli.analysis.inpainting import inpaint
from vaecli.analysis.interpolation import between
from vaecli.analysis.latents import manifold
from vaecli.analysis.sampling import reconstruct, sample
from vaecli.analysis.scores import score
from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.display import ACROSS, WIDTH, across, table, text
from vaecli.evaluation.estimates import Estimate
from vaecli.evaluation.measure import measure
from vaecli.image_shape import ImageShape
from vaecli.model import build
from vaecli.runs.run import Run, read_run
from vaecli.studies.run_plan import search

EVIL = "<script>alert('a & b')</script>"


class Page(HTMLParser):
    """The tags, attributes and words of a page, each tag closed in its order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def pictures(self):
        return [
            Image.open(io.BytesIO(b64decode(value.removeprefix("data:image/png;base64,"))))
            for name, value in self.attributes
            if name == "src"
        ]


@pytest.fixture(scope="module")
def run():
    return read_run(BASELINE)


@pytest.fixture(scope="module")
def some(digits):
    return digits[:20]


def test_words_are_escaped_and_stand_on_one_line():
    html = text(EVIL) + table([EVIL, "b"], [(EVIL, 1.5), ("line\nbreak", "\x1b[31m")])
    page = Page(html)
    assert set(page.tags) == {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.words == [EVIL, EVIL, "b", EVIL, "1.5", "line\\nbreak", "\\x1b[31m"]


def test_many_images_show_a_few():
    pixels = torch.arange(10_000 * 784).view(-1, 784).remainder(251).byte()
    many = Images(pixels, torch.zeros(10_000, dtype=torch.int64), (EVIL,))
    html = many._repr_html_()
    page = Page(html)
    assert page.words == ["10,000 images of 28 x 28, 1 labels; the first 20"]
    (picture,) = page.pictures
    assert picture.size == (ACROSS * (84 + 3) + 3, 2 * (84 + 3) + 3)
    assert len(html) < 50_000
    pixels = many.pixels[ACROSS + 1].view(28, 28)  # the second of the second row
    shown = picture.convert("L").crop((87 + 3, 87 + 3, 87 + 3 + 84, 87 + 3 + 84)).resize((28, 28), Image.Resampling.NEAREST)
    assert torch.equal(torch.tensor(list(shown.get_flattened_data())).view(28, 28), pixels.long())


def test_no_images_and_one():
    none = Images(torch.zeros(0, 784, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64), ())
    assert none._repr_html_() == "<div>0 images of 28 x 28</div>"
    one = Images(torch.zeros(1, 784, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64) - 1, ())
    assert Page(one._repr_html_()).pictures[0].size == (90, 90)


@pytest.mark.parametrize("sides", [(3, 4, 4), (3, 64, 64), (1, 256, 256), (1, 900, 2000)], ids=str)
def test_a_grid_fits_a_page(sides):
    shape = ImageShape(*sides)
    images = Images(torch.zeros(30, shape.size, dtype=torch.uint8), torch.zeros(30).long() - 1, (), shape)
    (picture,) = Page(images._repr_html_()).pictures
    assert picture.width <= max(WIDTH + 6, shape.width + 6)
    assert across(shape) >= 1


@pytest.mark.parametrize("kind", ["sample", "reconstruct", "between", "inpaint", "manifold"])
def test_pictures_have_the_images_that_their_numbers_have(kind, run, some):
    model = run.model
    made = {
        "sample": lambda: sample(model, 4),
        "reconstruct": lambda: reconstruct(model, some),
        "between": lambda: between(model, some[:1], some[1:2], 6),
        "inpaint": lambda: inpaint(model, some[:2], some),
        "manifold": lambda: manifold(run, side=12),
    }[kind]()
    rows = {
        "sample": lambda it: [it.mean, it.draw],
        "reconstruct": lambda it: [it.x[:10], it.mean[:10], it.draw[:10]],
        "between": lambda it: [torch.cat((it.ends[:1], it.mean, it.ends[1:]))],
        "inpaint": lambda it: [it.x, torch.where(it.observed, it.x, 0.35), it.fills[0], it.mean_fill],
        "manifold": lambda it: list(it.mean.view(12, 12, 784)),
    }[kind](made)
    scale = 1 if kind == "manifold" else 3
    picture = Image.open(io.BytesIO(made._repr_png_())).convert("L")
    step = 28 * scale + 3
    assert picture.size == (len(rows[0]) * step + 3, len(rows) * step + 3)
    pixels = torch.tensor(list(picture.get_flattened_data())).view(picture.height, picture.width)
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            part = pixels[row * step + 3 :, column * step + 3 :][: 28 * scale : scale, : 28 * scale : scale]
            assert (part - 255 * image.view(28, 28)).abs().max() <= 0.51


def test_a_long_path_goes_on_below_and_a_large_grid_leaves_cells_out(run, some):
    path = between(run.model, some[:1], some[1:2], 40)
    assert Image.open(io.BytesIO(path._repr_png_())).size == (10 * 87 + 3, 5 * 87 + 3)
    grid = manifold(run, side=100)
    assert Image.open(io.BytesIO(grid._repr_png_())).size == (50 * 31 + 3, 50 * 31 + 3)


def test_a_table_has_each_number_of_a_measurement_with_its_errors(run, some):
    measured = measure(run.model, some, k=(1, 5), exact=True)
    page = Page(measured._repr_html_())
    assert page.words[0] == "20 images, 2 active units"
    assert page.words[1:5] == ["nats", "± over images", "± over draws", "bits/dim"]
    cells = page.words[5:]
    for name, estimate in (("elbo", measured.elbo), ("kl", measured.kl), ("L_5", measured.bounds[5])):
        errors = (estimate.standard_error, estimate.monte_carlo_error)
        numbers = [f"{value:.2f}" for value in (estimate.mean, *errors) if value is not None]
        place = cells.index(name)
        assert cells[place + 1 : place + 1 + len(numbers)] == numbers
    assert f"{measured.bits_per_dim['L']['5']:.3f}" in cells
    assert cells[cells.index("exact") + 1] == f"{measured.exact.mean:.2f}"
    alone = replace(measured, images=1, dimensions=None, exact=None, elbo=Estimate(-1.0))
    assert Page(alone._repr_html_()).words[0] == "1 image, 2 active units"


def test_a_run_shows_results_curves_and_settings(run):
    html = run._repr_html_()
    page = Page(html)
    assert page.words[0].endswith("baseline: mnist-z2-elbo-random, 788,788 parameters")
    assert page.words[page.words.index("test_elbo") + 1] == f"{run.results['test_elbo']:g}"
    assert page.words[page.words.index("latent_dim") + 1] == "2"
    (curves,) = page.pictures
    assert curves.size == (500, 240)
    assert len({colour for _, colour in curves.convert("RGB").getcolors(1 << 20)}) > 10
    assert len(html) < 60_000
    assert not re.search(r"https?:|<script|<link", html)


def test_a_run_without_a_folder_or_with_a_strange_name_shows_too():
    config = Config(hidden=(5,))
    made = Run(build(config), config)
    assert Page(made._repr_html_()).pictures == []
    words = Page(replace(made, path=Path(EVIL), warnings={"few_steps": {"steps": 3}})._repr_html_()).words
    assert words[0].startswith(f"{EVIL}: ")
    assert any(word.startswith("Only 3 steps") for word in words)


def test_scores_show_the_least_and_the_most_likely(run, some):
    scores = score(run.model, some, by="L_5")
    page = Page(scores._repr_html_())
    assert page.words[:3] == ["log p(x) of 20 images, the least and the most likely", "rank", "image"]
    rows = [page.words[5:][start : start + 4] for start in range(0, 40, 4)]
    assert [int(row[0]) for row in rows] == [1, 2, 3, 4, 5, 16, 17, 18, 19, 20]
    assert [int(row[1]) for row in rows[:5]] == scores.order[:5].tolist()
    assert float(rows[0][2]) == pytest.approx(float(scores.log_p.min()), abs=0.01)


def test_a_search_shows_its_table(tmp_path, small_mnist):
    settings = {"latent_dim": [2, 3], "epochs": 1, "limit": 200, "validation": 100, "hidden": (5,)}
    found = search(settings, tmp_path, data_dir=small_mnist)
    page = Page(found._repr_html_())
    assert page.words[:4] == ["latent dim", "validation ELBO, nats", "± over seeds", "best run"]
    assert page.words[4:6] == [str(found.rows[0].settings["latent_dim"]), f"{found.rows[0].value:.2f}"]
