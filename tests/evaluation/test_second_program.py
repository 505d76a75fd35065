"""The shipped runs measured by a program in NumPy that shares no code with vaecli: it reads their files by itself."""

import hashlib
import json
import lzma
import math
from functools import cache

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from tests.helpers import ROOT
from vaecli.data import load_images
from vaecli.evaluation.measure import measure
from vaecli.evaluation.schedule import AIS
from vaecli.model import observed_images
from vaecli.runs.run import read_run

IMAGES = 50
RESNET = "resnet-mixture"
MNIST = ROOT / "vaecli" / "data" / "mnist_idx" / "t10k-images-idx3-ubyte.xz"


@cache
def weights_of(name):
    """The tensors of a run: 8 bytes with the length of a JSON header, the header, then the numbers."""
    file = (ROOT / "checkpoints" / name / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(file[:8], "little")
    tensors = {}
    for key, about in json.loads(file[8:start]).items():
        if key != "__metadata__":
            first, last = about["data_offsets"]
            assert about["dtype"] == "F32"
            tensors[key] = np.frombuffer(file[start + first : start + last], "<f4").reshape(about["shape"]).astype(np.float64)
    return tensors


def network(weights, part, x):
    names = [f"{part}.input", *sorted({key.rsplit(".", 1)[0] for key in weights if key.startswith(f"{part}.hidden")})]
    for name in names:
        x = np.tanh(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])
    return x @ weights[f"{part}.output.weight"].T + weights[f"{part}.output.bias"]


def linear(weights, name, x):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def convolution(weights, name, x, stride=1):
    """3 x 3, with a border of zeros."""
    parts = sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))[:, :, ::stride, ::stride]
    h = np.einsum("nchwij,ocij->nohw", parts, weights[f"{name}.weight"], optimize=True)
    return h + weights[f"{name}.bias"][:, None, None]


def active(weights, name, x):
    """Groups of four channels made normal, then SiLU."""
    groups = x.reshape(len(x), x.shape[1] // 4, -1)
    groups = (groups - groups.mean(-1, keepdims=True)) / np.sqrt(groups.var(-1, keepdims=True) + 1e-5)
    h = groups.reshape(x.shape) * weights[f"{name}.weight"][:, None, None] + weights[f"{name}.bias"][:, None, None]
    return silu(h)


def silu(h):
    return h / (1 + np.exp(-h))


def block(weights, name, x):
    h = convolution(weights, f"{name}.first", active(weights, f"{name}.first_norm", x))
    return x + convolution(weights, f"{name}.second", active(weights, f"{name}.second_norm", h))


def residual_encoder(weights, x):
    h = x.reshape(-1, 1, 28, 28)
    for stage in range(2):
        h = block(weights, f"encoder.blocks.{stage}.0", convolution(weights, f"encoder.down.{stage}", h, 2))
    h = linear(weights, "encoder.input", active(weights, "encoder.norm", h).reshape(len(h), -1))
    return linear(weights, "encoder.dense.0", silu(h))


def residual_decoder(weights, z):
    h = linear(weights, "decoder.dense.0", silu(linear(weights, "decoder.input", z))).reshape(-1, 32, 7, 7)
    h = block(weights, "decoder.blocks.0.0", h).repeat(2, 2).repeat(2, 3)
    h = block(weights, "decoder.blocks.1.0", convolution(weights, "decoder.up.0", h))
    h = active(weights, "decoder.norm", h).repeat(2, 2).repeat(2, 3)
    return convolution(weights, "decoder.output", h).reshape(len(z), -1)


def grey_images():
    raw = lzma.decompress(MNIST.read_bytes())
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784)[:IMAGES]


def drawn(images):
    """Pixels that are white with the probability of their grey, by the bytes of SHAKE-128 of the image."""
    rows = []
    for image in images:
        words = np.frombuffer(hashlib.shake_128(image.tobytes()).digest(4 * 784), "<u4").astype(np.uint64)
        rows.append((words * 255 // 2**32).astype(np.int64) < image)
    return np.stack(rows).astype(np.float64)


def log_mean(log_w):
    top = log_w.max(0)
    return top + np.log(np.exp(log_w - top).mean(0))


def log_bernoulli(logits, x):
    return (x * logits).sum(-1) - np.logaddexp(0, logits).sum(-1)


def log_normal(z, loc, log_scale):
    return (-0.5 * ((z - loc) / np.exp(log_scale)) ** 2 - log_scale - 0.5 * math.log(2 * math.pi)).sum(-1)


def importance(name, x, k, noise):
    """L_k of each image with half of the particles from the prior where there are two latents; KL in closed form."""
    weights = weights_of(name)
    bound, kl = [], []
    for image in x:
        loc, log_scale = np.split(network(weights, "encoder", image), 2)
        eps = noise.standard_normal((k, len(loc)))
        z = loc + np.exp(log_scale) * eps
        if len(loc) == 2:
            z = np.where(noise.random((k, 1)) < 0.5, eps, z)
        log_q, log_p = log_normal(z, loc, log_scale), log_normal(z, 0.0, np.zeros_like(loc))
        log_r = np.logaddexp(log_q, log_p) - math.log(2) if len(loc) == 2 else log_q
        bound.append(log_mean(log_bernoulli(network(weights, "decoder", z), image) + log_p - log_r))
        kl.append(0.5 * (np.exp(2 * log_scale) + loc**2 - 1 - 2 * log_scale).sum())
    return np.array(bound), np.array(kl)


def log_mixture(weights, z):
    log_pi = weights["prior.logits"] - np.logaddexp.reduce(weights["prior.logits"])
    components = [log_normal(z, *parts) for parts in zip(weights["prior.loc"], weights["prior.log_scale"], strict=True)]
    return np.logaddexp.reduce(log_pi[:, None] + np.stack(components))


def test_the_pixels_are_the_same():
    images = grey_images()
    assert torch.equal(load_images("mnist", "test", limit=IMAGES).pixels, torch.tensor(images))
    seen = observed_images(load_images("mnist", "test", limit=IMAGES), "stochastic").pixels
    np.testing.assert_array_equal(drawn(images) * 255, seen.numpy())


@pytest.mark.parametrize(("name", "proposal"), [("baseline", "mixture"), ("iwae5", "posterior")])
def test_bounds_agree_within_their_monte_carlo_errors(name, proposal):
    images = grey_images()
    x = drawn(images) if name == "iwae5" else (images > 127).astype(np.float64)
    noise = np.random.default_rng(0)
    repeats = [importance(name, x, 300, noise) for _ in range(5)]
    model = read_run(ROOT / "checkpoints" / name).model
    measured = measure(model, load_images("mnist", "test", limit=IMAGES), k=(300,), proposal=proposal, repeats=5)
    means, ours = np.array([bound.mean() for bound, _ in repeats]), measured.bounds[300]
    error = math.hypot(means.std(ddof=1) / math.sqrt(5), ours.monte_carlo_error)
    assert error < 0.15
    assert abs(means.mean() - ours.mean) < 4 * error
    assert repeats[0][1].mean() == pytest.approx(measured.kl.mean, rel=1e-5)


def test_log_weights_of_residual_networks_and_a_mixture_agree():
    """By the same noise, so that one draw will do."""
    weights, x = weights_of(RESNET), drawn(grey_images())[:5]
    eps = np.random.default_rng(2).standard_normal((3, 5, 50))
    loc, log_scale = np.split(residual_encoder(weights, x), 2, 1)
    z = (loc + np.exp(log_scale) * eps).reshape(-1, 50)
    log_p = log_bernoulli(residual_decoder(weights, z).reshape(3, 5, -1), x) + log_mixture(weights, z).reshape(3, 5)
    model = read_run(ROOT / "checkpoints" / RESNET).model
    with torch.inference_mode():
        ours = model.log_weights(torch.tensor(x).float(), None, torch.tensor(eps).float()).log_w
    np.testing.assert_allclose(log_p - log_normal(z.reshape(3, 5, 50), loc, log_scale), ours.numpy(), rtol=1e-5)


def test_exact_values_agree():
    """By the midpoint rule over [-6, 6]^2, 300 points per side: 0.04 apart, where posteriors are 0.07 wide or more."""
    weights, x = weights_of("baseline"), (grey_images() > 127).astype(np.float64)
    axis = (np.arange(300) + 0.5) / 25 - 6
    total = np.full(IMAGES, -np.inf)
    for u in axis:
        z = np.stack((np.full(300, u), axis), 1)
        logits = network(weights, "decoder", z)
        log_p = logits @ x.T - np.logaddexp(0, logits).sum(1)[:, None] + log_normal(z, 0.0, np.zeros(2))[:, None]
        total = np.logaddexp(total, log_mean(log_p) + math.log(300))
    images = load_images("mnist", "test", limit=IMAGES)
    measured = measure(read_run(ROOT / "checkpoints" / "baseline").model, images, k=(), exact=True)
    np.testing.assert_allclose(total + 2 * math.log(12 / 300), measured.per_image["exact"].numpy(), atol=2e-3)


def test_annealing_agrees():
    """In NumPy by random-walk Metropolis, another kernel than vaecli's, on the first 3 images of the run with two latents."""
    weights, x = weights_of("baseline"), (grey_images() > 127).astype(np.float64)[:3]
    noise, chains, steps = np.random.default_rng(1), 20, 200
    found = []
    for image in x:
        loc, log_scale = np.split(network(weights, "encoder", image), 2)
        scale = np.exp(log_scale)

        def log_f(z, b, image=image, loc=loc, log_scale=log_scale):
            joint = log_bernoulli(network(weights, "decoder", z), image) + log_normal(z, 0.0, np.zeros(2))
            return (1 - b) * log_normal(z, loc, log_scale) + b * joint

        z, log_w = loc + scale * noise.standard_normal((chains, 2)), np.zeros(chains)
        for step in range(1, steps + 1):
            before, now = (step - 1) / steps, step / steps
            log_w += log_f(z, now) - log_f(z, before)
            for width in (2.4, 0.5):
                other = z + width * scale * noise.standard_normal(z.shape)
                better = log_f(other, now) - log_f(z, now)
                z = np.where((np.log(noise.random(chains)) < better)[:, None], other, z)
        found.append(log_mean(log_w))
    images = load_images("mnist", "test", limit=3)
    ais = measure(read_run(ROOT / "checkpoints" / "baseline").model, images, k=(), ais=AIS(250, 8))
    # four times the largest Monte Carlo error of an image, 0.056
    assert np.abs(np.array(found) - ais.per_image["ais"].numpy()).max() < 0.23
