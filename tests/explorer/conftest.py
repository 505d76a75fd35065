"""Runs for the explorer, without training: their weights are random and large, so that pictures differ."""

from itertools import product

import pytest
import torch

from tests.browser import visit
from vaecli import registry
from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.explorer.page import explore
from vaecli.model import build
from vaecli.runs.run import Run, read_run
from vaecli.seeding import generator

CLASSES = ("ant", "bee", "cat & <dog>")

KINDS = {
    "plain": {},
    "labels": {"labels": "full"},
    "grey": {"likelihood": "continuous-bernoulli"},
    "beta": {"likelihood": "beta"},
    "levels": {"likelihood": "discretized-logistic", "labels": "full"},
    "convolutions": {"arch": "conv", "channels": (4, 8)},
    "colour": {"dataset": "folder", "image_size": 16, "colour": "rgb"},
    "residual": {"arch": "residual-mlp", "hidden": (30, 30), "labels": "full"},
    "blocks": {"arch": "resnet", "channels": (4, 8)},
}
"""Settings of runs of two latents."""


def run_with(folder, name, **settings):
    """A run with these settings and random weights, and images of its own."""
    config = Config(**settings)
    noise = generator("cpu", "explorer", name)
    shape = config.image_shape
    pixels = torch.randint(256, (40, shape.size), dtype=torch.uint8, generator=noise)
    pixels[:, : shape.size // 2] = 0
    images = Images(pixels, torch.arange(40) % 3, CLASSES, shape)
    model = build(config, images)
    with torch.inference_mode():
        for parameter in model.parameters():
            parameter.normal_(0, 1.5 / max(1, parameter[0].numel()) ** 0.5, generator=noise)
            parameter.copy_(parameter.half())  # as the page has them
    return Run(model.eval(), config, {}, None, CLASSES, folder / name), images


def settings_of_all():
    """Settings with every likelihood and architecture, with and without labels, of several sizes and latents."""
    for round, archs in enumerate((("mlp", "conv"), ("residual-mlp", "resnet"))):
        for number, (likelihood, arch) in enumerate(product(registry.names("likelihood"), archs)):
            hidden = (60, 60) if arch == "residual-mlp" else (60,)
            settings = {"likelihood": likelihood, "arch": arch, "latent_dim": (2, 1, 3, 5)[number % 4], "hidden": hidden}
            settings |= {"labels": "full"} if (number + round) % 2 else {}
            yield f"{likelihood}-{arch}", settings
    folder = {"dataset": "folder", "latent_dim": 4}
    yield "colour", folder | {"image_size": 32, "colour": "rgb", "arch": "conv", "hidden": (300,)}
    yield "colour-odd", folder | {"image_size": 19, "colour": "rgb", "arch": "resnet", "channels": (6, 8, 16), "blocks": 2}
    yield "odd", folder | {"image_size": 27, "colour": "grey", "arch": "resnet", "labels": "full", "hidden": (300, 50)}
    yield "deep", {"hidden": (200, 400, 300), "latent_dim": 20}
    yield "deep-residual", {"arch": "residual-mlp", "hidden": (300, 300, 300, 200), "latent_dim": 20, "labels": "full"}


@pytest.fixture(scope="session")
def explored(tmp_path_factory):
    """A page with all these runs; its file, and the runs and images by name."""
    folder = tmp_path_factory.mktemp("explored")
    runs = {name: run_with(folder, name, **settings) for name, settings in settings_of_all()}
    page = folder / "explore.html"
    page.write_text(explore([run for run, _ in runs.values()], [images for _, images in runs.values()]))
    return page, runs


@pytest.fixture(scope="session")
def file(tmp_path_factory, trained, explored):
    """A page with a trained run of two latents, one of three with labels, and one of twenty."""
    run = read_run(trained)
    others = [explored[1][name] for name in ("bernoulli-conv", "discretized-logistic-conv", "deep")]
    path = tmp_path_factory.mktemp("page") / "explore.html"
    path.write_text(explore([run, *(other for other, _ in others)], [run.images("test"), *(images for _, images in others)]))
    return path


@pytest.fixture
def wide(browser, file):
    return visit(browser, file)


@pytest.fixture
def phone(browser, file):
    return visit(browser, file, width=390, height=844, scale=2)


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """A page of runs of two latents, by what is special about them; its file, and the runs and images by name."""
    folder = tmp_path_factory.mktemp("rubbed")
    made = {name: run_with(folder, name, **({"latent_dim": 2, "hidden": (30,)} | settings)) for name, settings in KINDS.items()}
    for run, _ in made.values():  # milder, so that posteriors are as wide as trained ones
        with torch.inference_mode():
            run.model.decoder.output.weight.mul_(0.125)
    page = folder / "page.html"
    page.write_text(explore([run for run, _ in made.values()], [images for _, images in made.values()]))
    return page, made


@pytest.fixture
def rubbing(browser, two):
    return visit(browser, two[0])
