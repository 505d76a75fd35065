"""Networks as files of ONNX and PyTorch: run by their own runtimes, beside the model."""

import json
import sys
from functools import partial
from importlib import import_module

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers import BASELINE, one_line
from vaecli.analysis import exporting
from vaecli.analysis.exporting import export
from vaecli.config import Config
from vaecli.errors import UsageError, VaecliError
from vaecli.image_shape import ImageShape
from vaecli.model import VAE, build
from vaecli.networks.given import GivenNetworks
from vaecli.priors.normal import StandardNormal
from vaecli.runs.run import Run, read_run

SMALL = {"mlp": {"hidden": (20,)}, "residual-mlp": {"hidden": (20, 20)}}

CASES = [
    {"arch": "mlp"},
    {"arch": "residual-mlp", "labels": "full", "likelihood": "beta", "posterior": "two-layer", "prior": "two-layer"},
    {"arch": "conv", "likelihood": "discretized-logistic", "dataset": "cifar10", "posterior": "full"},
    {"arch": "resnet", "labels": "partial", "likelihood": "continuous-bernoulli", "image_size": 29, "prior": "vamp"},
    {"arch": "mlp", "likelihood": "discretized-logistic", "posterior": "flow", "prior": "mixture", "posterior_hidden": (5,)},
]


def made(settings):
    """A run whose networks have random weights: those of training's start give 0 for all of some likelihoods' outputs."""
    config = Config(latent_dim=4, **SMALL.get(settings["arch"], {"channels": (4, 8)}), **settings)
    model, noise = build(config), torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=noise) / max(1, parameter[0].numel()) ** 0.5
    return Run(model.eval(), config, class_names=tuple(map(str, range(model.labels))))


def images_of(model, count):
    pixels = torch.randint(256, (count, model.image_shape.size), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))
    return model.observe(pixels), model.condition(torch.arange(count) % max(1, model.labels) - 1)


def ran(file, *inputs):
    """What a file gives: of ONNX by onnxruntime, of PyTorch by torch.export alone."""
    if file.suffix == ".pt2":
        outputs = torch.export.load(file).module()(*inputs)
        return outputs if isinstance(outputs, tuple) else (outputs,)
    session = import_module("onnxruntime").InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return tuple(map(torch.from_numpy, session.run(None, {name: it.numpy() for name, it in zip(names, inputs, strict=True)})))


@pytest.mark.parametrize("to", ["onnx", "torch"])
@pytest.mark.parametrize("settings", CASES, ids=lambda settings: " ".join(map(str, settings.values())))
@torch.no_grad()
def test_files_give_what_the_model_gives_for_any_number_of_images(tmp_path, settings, to):
    run = made(settings)
    model, shape = run.model, run.model.image_shape
    exported = export(run, tmp_path / "out", to)
    assert [file.name for file in exported.files] == [f"{name}{exporting._SUFFIXES[to]}" for name in ("encoder", "decoder")]
    assert exported.difference <= 1e-5
    sides = (shape.channels, shape.height, shape.width)
    for count in (1, 3):
        x, y = images_of(model, count)
        labels = () if y is None else (y,)
        found = ran(exported.files[0], x.view(count, *sides), *labels)
        h, q = model.features(x, y), model.posterior(x, y)
        for part, expected in zip(found, (q.loc, q.log_scale) if settings.get("posterior") is None else (h,), strict=True):
            torch.testing.assert_close(part, expected, rtol=1e-5, atol=1e-5)
        z = model.prior.sample(count, torch.Generator().manual_seed(1))
        (mean,) = ran(exported.files[1], z, *labels)
        expected = model.likelihood(z, y).mean
        assert count == 1 or float((expected.amax(0) - expected.amin(0)).max()) > 0.001
        torch.testing.assert_close(mean, expected.view(count, *sides), rtol=1e-5, atol=1e-5)


def test_onnx_names_inputs_outputs_and_settings(tmp_path):
    run = made(CASES[1])
    open_it = partial(import_module("onnxruntime").InferenceSession, providers=["CPUExecutionProvider"])
    encoder, decoder = map(open_it, export(run, tmp_path).files)
    assert [(it.name, it.shape) for it in encoder.get_inputs()] == [("x", ["batch", 1, 28, 28]), ("y", ["batch", 10])]
    assert [it.name for it in encoder.get_outputs()] == ["features"]
    assert [(it.name, it.shape) for it in decoder.get_inputs()] == [("z", ["batch", 4]), ("y", ["batch", 10])]
    assert [(it.name, it.shape[0]) for it in decoder.get_outputs()] == [("pixels", "batch")]
    about = json.loads(encoder.get_modelmeta().custom_metadata_map["vaecli"])
    assert about == {"settings": run.config.to_json(), "class_names": list(run.class_names)}


def test_pytorch_s_file_has_the_settings_and_needs_no_gradient(tmp_path):
    run = made(CASES[0])
    extra = {"vaecli.json": ""}
    program = torch.export.load(export(run, tmp_path, "torch").files[0], extra_files=extra)
    assert json.loads(extra["vaecli.json"])["settings"] == run.config.to_json()
    loc, log_scale = program.module()(torch.zeros(2, 1, 28, 28))
    assert not loc.requires_grad and not log_scale.requires_grad
    assert all(parameter.requires_grad for parameter in run.model.parameters())


def test_an_encoder_has_no_weights_of_the_decoder(tmp_path):
    run = made(CASES[0])
    encoder, decoder = (file.stat().st_size for file in export(run, tmp_path).files)
    weights = [4 * sum(it.numel() for it in network.parameters()) for network in (run.model.encoder, run.model.decoder)]
    assert weights[0] < encoder < weights[0] + 12_000
    assert weights[1] < decoder < weights[1] + 12_000


def test_a_command_writes_them_and_says_how_far_they_are_off(vaecli, tmp_path):
    outcome = vaecli("export", BASELINE, "--to", "torch", "--out", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    (line,) = outcome.err.splitlines()
    printed = json.loads(outcome.out)
    assert line == f"On random inputs they differ from the model by at most {printed['difference']:.1e}"
    assert printed["files"] == [str(tmp_path / "out" / name) for name in ("encoder.pt2", "decoder.pt2")]
    x, _ = images_of(read_run(BASELINE).model, 2)
    loc, _ = ran(tmp_path / "out" / "encoder.pt2", x.view(2, 1, 28, 28))
    torch.testing.assert_close(loc, read_run(BASELINE).model.posterior(x).mean)


def test_a_file_that_is_off_is_not_written(tmp_path, monkeypatch):
    whole = exporting._torch

    def off(*words):
        data, ran = whole(*words)
        return data, lambda inputs: [part + 1e-3 for part in ran(inputs)]

    monkeypatch.setattr(exporting, "_torch", off)
    with pytest.raises(VaecliError, match=r"the exported encoder differs from the model by 1\.0e-03, expected 1e-05 at most"):
        export(made(CASES[0]), tmp_path / "out", "torch")
    assert not (tmp_path / "out").exists()


class Branching(nn.Module):
    def forward(self, x):
        return x[:, :4] if x.sum() > 0 else -x[:, :4]


def test_a_network_that_cannot_be_traced_is_refused_in_one_line(tmp_path):
    networks = GivenNetworks(Branching(), nn.Linear(2, 784))
    shape = ImageShape(1, 28, 28)
    parts = networks.encoder(shape, 0, 4), networks.decoder(shape, 2, 0, 1)
    model = VAE(*parts, build(Config()).pixel_likelihood, 2, prior=StandardNormal(2))
    with pytest.raises(VaecliError) as error:
        export(Run(model, Config()), tmp_path / "out", "torch")
    assert str(error.value).startswith("the encoder cannot be exported (")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("package", ["onnxruntime", "onnxscript"])
def test_packages_that_are_missing_are_asked_for(vaecli, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    line = one_line(vaecli("export", BASELINE, "--out", "out"), 1)
    assert line == f"vaecli: found no {package}, which --to onnx needs; install it with: pip install 'vaecli[onnx]'"


def test_a_format_that_there_is_not(tmp_path):
    with pytest.raises(UsageError, match="to=tflite: expected onnx or torch"):
        export(made(CASES[0]), tmp_path, "tflite")


@pytest.mark.parametrize("settings", CASES, ids=lambda settings: " ".join(map(str, settings.values())))
@torch.no_grad()
def test_a_model_that_is_called_reconstructs_and_can_be_exported_by_torch(settings):
    model = made(settings).model
    x, y = images_of(model, 3)
    expected = model.likelihood(model.posterior(x, y).mean, y).mean
    assert torch.equal(model(x, y), expected)
    assert torch.equal(model(x, y), model(x, y))
    inputs = (x[:2],) if y is None else (x[:2], y[:2])
    batch = torch.export.Dim("batch")
    program = torch.export.export(model, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs))
    torch.testing.assert_close(program.module()(x, *inputs[1:2] and (y,)), expected, rtol=1e-5, atol=1e-5)
    assert np.isfinite(expected.numpy()).all()
