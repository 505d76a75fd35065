"""Pixels that are binarised at random, where something is measured: drawn once for each image."""

import json
from dataclasses import replace
from hashlib import shake_128

import pytest
import torch

from vaecli.analysis.inpainting import inpaint
from vaecli.analysis.interpolation import between
from vaecli.analysis.sampling import reconstruct
from vaecli.config import Config
from vaecli.data.images import UNKNOWN, Images
from vaecli.errors import UsageError
from vaecli.evaluation import measure as measurement
from vaecli.evaluation.encode import encode
from vaecli.evaluation.importance import evaluate
from vaecli.evaluation.measure import measure
from vaecli.evaluation.schedule import AIS
from vaecli.evaluation.without_model import without_model
from vaecli.image_shape import ImageShape
from vaecli.model import VAE, build, observed_images, own_levels
from vaecli.provenance import Provenance
from vaecli.runs.run import read_run
from vaecli.runs.train import train


@pytest.fixture
def model():
    return build(Config(binarize="stochastic", hidden=(20,)))


def test_the_levels_are_those_of_the_formula():
    for size in (1, 7, 784):
        image = torch.randint(256, (size,), generator=torch.Generator().manual_seed(size), dtype=torch.uint8)
        image[0] = 100  # a grey
        noise = shake_128(bytes(image.tolist())).digest(4 * size)
        words = [int.from_bytes(noise[4 * i : 4 * i + 4], "little") for i in range(size)]
        assert own_levels(image).tolist() == [255 * word // 2**32 for word in words]


def test_greys_are_white_as_often_as_they_are_light(digits):
    grey = own_levels(digits.pixels)
    counts = torch.bincount(grey.flatten().long(), minlength=256)
    assert counts[255] == 0
    expected = grey.numel() / 255
    # of a uniform draw chi-square has a mean of 254 and a standard deviation of 22.5
    assert ((counts[:255] - expected) ** 2 / expected).sum() < 254 + 6 * 22.5
    seen, pixels = observed_images(digits, "stochastic").pixels.double() / 255, digits.pixels.double() / 255
    difference, variance = (seen - pixels).sum(), (pixels * (1 - pixels)).sum()
    assert abs(difference) < 5 * variance.sqrt()
    assert set(seen.unique().tolist()) == {0.0, 1.0}


def test_an_image_is_drawn_alike_alone_among_others_and_again(model, digits):
    all_of_them = model.observe(digits.pixels)
    assert torch.equal(model.observe(digits.pixels.flip(0)[:9]).flip(0), all_of_them[-9:])
    assert torch.equal(model.observe(digits.pixels[3]), all_of_them[3])
    seen = observed_images(digits, "stochastic")
    assert torch.equal(model.observe(seen.pixels), all_of_them)
    assert not torch.equal(all_of_them[0], model.observe(digits.pixels[:1], torch.Generator())[0])


def test_black_white_and_colours(model):
    ends = torch.tensor([[0, 255] * 6], dtype=torch.uint8)
    images = Images(ends, torch.tensor([UNKNOWN]), (), ImageShape(3, 2, 2))
    assert torch.equal(observed_images(images, "stochastic").pixels, ends)
    greys = replace(images, pixels=torch.full((40, 12), 128, dtype=torch.uint8), labels=torch.full((40,), UNKNOWN))
    assert len(observed_images(greys, "stochastic").pixels.unique(dim=0)) == 1  # equal images are drawn alike
    assert observed_images(greys, "none") is greys
    assert torch.equal(observed_images(greys, "threshold").pixels, torch.full((40, 12), 255, dtype=torch.uint8))


def test_everything_that_measures_or_shows_images_sees_the_same_pixels(model, digits, monkeypatch):
    """Each call of the model with these images is looked at; the first draws are compared with all others."""
    images, met = digits[:6], []
    observe = VAE.observe
    monkeypatch.setattr(VAE, "observe", lambda self, pixels, noise=None: met.append(observe(self, pixels, noise)) or met[-1])
    monkeypatch.setattr(measurement, "observed_images", lambda images, how: images)  # drawn anew by every part
    calls = {
        "ELBO": lambda: evaluate(model, images),
        "all columns": lambda: measure(model, images, k=(1, 30), exact=True, ais=AIS(2, 1)),
        "a mixture": lambda: measure(model, images, k=(2,), proposal="mixture"),
        "latents": lambda: encode(model, images),
        "reconstructions": lambda: reconstruct(model, images, seed=5),
        "no model": lambda: without_model(model, digits, images),
        "inpainting": lambda: inpaint(model, images, digits, draws=1, starts=1, steps=1, seed=3),
    }
    expected = observe(model, images.pixels)
    for name, call in calls.items():
        met.clear()
        call()
        assert met, name
        seen = torch.cat([x.view(-1, 784) for x in met])
        assert torch.equal(seen, expected.repeat(len(seen) // 6, 1)), name
    met.clear()
    between(model, images[:1], images[1:2], 3)
    assert torch.equal(met[0], expected[:2])


def test_the_digest_says_which_pixels(digits):
    def digest(images, **settings):
        return measure(build(Config(hidden=(20,), **settings)), images, k=()).observed

    some = digits[:30]
    drawn = digest(some, binarize="stochastic")
    assert drawn == digest(some, binarize="stochastic", latent_dim=7, seed=3)
    assert drawn == observed_images(some, "stochastic").digest
    others = [digest(some), digest(some, likelihood="beta"), digest(digits[:29], binarize="stochastic")]
    assert len({drawn, *others}) == 4
    assert others[1] == some.digest


def test_a_run_keeps_the_digest_of_the_pixels_it_is_measured_on(tmp_path, digits, small_mnist):
    config = Config(binarize="stochastic", hidden=(20,), epochs=1)
    run = train(config, tmp_path / "a", data_dir=small_mnist)
    test = run.images("test")
    assert run.provenance.measured == observed_images(test, "stochastic").digest
    assert float(evaluate(run.model, test).elbo.mean()) == pytest.approx(run.results["test_elbo"], abs=1e-4)
    held = train(replace(config, validation=50), tmp_path / "b", data_dir=small_mnist)
    assert torch.equal(held.images("validation").pixels, held.images("train").pixels[-50:])
    with pytest.raises(UsageError, match="a holds no images out"):
        run.images("validation")
    assert held.provenance.measured == observed_images(held.images("validation"), "stochastic").digest
    assert train(replace(config, binarize="threshold"), tmp_path / "c", data_dir=small_mnist).provenance.measured == ""
    assert json.loads((tmp_path / "a" / "config.json").read_text())["provenance"]["measured"] == run.provenance.measured


def test_a_run_that_was_measured_on_other_draws_says_so_when_it_goes_on(tmp_path, small_mnist, monkeypatch):
    config = Config(binarize="stochastic", hidden=(20,), epochs=1)
    monkeypatch.setattr("vaecli.runs.train.Provenance", lambda *parts: Provenance(*parts[:-1]))
    train(config, tmp_path / "a", data_dir=small_mnist)
    assert read_run(tmp_path / "a").provenance.measured == ""
    monkeypatch.undo()
    run = train(replace(config, epochs=2), tmp_path / "a", data_dir=small_mnist, resume=True)
    assert any("measured on other draws of the pixels" in note for note in run.notes)
    again = train(replace(config, epochs=3), tmp_path / "a", data_dir=small_mnist, resume=True)
    assert not any("other draws" in note for note in again.notes)
