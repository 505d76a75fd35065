"""Networks as lists of operations give what PyTorch gives."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.explorer.conftest import run_with, settings_of_all
from vaecli.errors import VaecliError
from vaecli.explorer.operations import operations
from vaecli.seeding import generator

SETTINGS = dict(settings_of_all())


def computed(steps, values, y):
    """What the operations give of values, shape (1, .), by their description alone."""
    known = [values.flatten(), None if y is None else y.flatten()]
    for step in steps:
        h, *others = [known[value] for value in step["of"]]
        known.append(KINDS[step["kind"]](step, h, *others))
        assert len(known[-1]) == step["size"]
    return known[-1]


def convolved(step, h):
    return F.conv2d(h.view(step["input"]), step["weight"], step["bias"], step["stride"], step["padding"]).flatten()


def transposed(step, h):
    """A sum of stamps, which may begin and end outside the image."""
    (_, height, width), (channels, rows, columns) = step["input"], step["output"]
    stride, padding, kernel = step["stride"], step["padding"], step["kernel"]
    out = torch.zeros(channels, rows + 2 * padding + kernel, columns + 2 * padding + kernel)
    stamps = torch.einsum("iyx,iokl->yxokl", h.view(step["input"]), step["weight"])
    for y in range(height):
        for x in range(width):
            out[:, y * stride : y * stride + kernel, x * stride : x * stride + kernel] += stamps[y, x]
    return (out[:, padding : padding + rows, padding : padding + columns] + step["bias"][:, None, None]).flatten()


def normed(step, h):
    groups, scale, bias = h.view(step["groups"], -1), step["scale"][:, None], step["bias"][:, None]
    even = (groups - groups.mean(1, keepdim=True)) / (groups.var(1, correction=0, keepdim=True) + step["eps"]).sqrt()
    return (even.view(len(scale), -1) * scale + bias).flatten()


KINDS = {
    "dense": lambda step, h: step["weight"] @ h + step["bias"],
    "convolution": convolved,
    "transposed": transposed,
    "norm": normed,
    "resize": lambda step, h: h.view(-1, *step["side"])[:, step["rows"]][:, :, step["columns"]].flatten(),
    "join": lambda _, *parts: torch.cat(parts),
    "add": lambda _, a, b: a + b,
    "relu": lambda _, h: h.relu(),
    "silu": lambda _, h: h * h.sigmoid(),
    "sigmoid": lambda _, h: h.sigmoid(),
    "tanh": lambda _, h: h.tanh(),
}


def agree(network, inputs, labels=0):
    noise = generator("cpu", "operations")
    values, y = torch.randn(3, inputs, generator=noise), torch.eye(labels)[:1] if labels else None
    steps = operations(network, values[:1], y)
    with torch.inference_mode():
        for value in values:  # of others than it was run with
            expected = network(value.unsqueeze(0), y).flatten()
            assert expected.std() > 0.01
            torch.testing.assert_close(computed(steps, value, y), expected, rtol=1e-4, atol=1e-4)
    return steps


@pytest.mark.parametrize("name", SETTINGS)
def test_every_architecture(tmp_path, name):
    model = run_with(tmp_path, name, **SETTINGS[name])[0].model
    agree(model.decoder, model.latent_dim, model.labels)
    agree(model.encoder, model.image_shape.size, model.labels)


class Network(nn.Module):
    """Layers by name, and what is done with them."""

    def __init__(self, does, **layers):
        super().__init__()
        self.layers, self.does = nn.ModuleDict(layers), does

    def forward(self, x, y=None):
        return self.does(self.layers, x, y)


class Chain(nn.Sequential):
    def forward(self, x, y=None):
        return super().forward(x)


def in_place(layers, x, _):
    h = layers["a"](x)
    seen = h.view(2, 3)
    h.relu_()  # also seen
    return layers["b"](seen.flatten().unsqueeze(0) + h)


def added_in_place(layers, x, _):
    h = layers["a"](x)
    kept = h.clone()
    h += F.silu(kept)
    return h + kept


def with_a_label_late(layers, x, y):
    return layers["b"](torch.cat((layers["a"](x).relu(), y), 1))


def joined(layers, x, _):
    h = PLANE(x)
    return torch.cat((layers["a"](h), h), dim=-3)


def twice(layers, x, _):
    return layers["a"](layers["a"](x).sigmoid())


PLANE = nn.Unflatten(1, (2, 4, 4))
NETWORKS = {
    "in place, seen by a view": (5, 0, lambda: Network(in_place, a=nn.Linear(5, 6), b=nn.Linear(6, 3))),
    "added in place": (5, 0, lambda: Network(added_in_place, a=nn.Linear(5, 6))),
    "one weight twice": (5, 0, lambda: Network(twice, a=nn.Linear(5, 5))),
    "no bias, no scale": (5, 0, lambda: Chain(nn.Linear(5, 6, bias=False), nn.LayerNorm(6, elementwise_affine=False))),
    "a label late": (5, 3, lambda: Network(with_a_label_late, a=nn.Linear(5, 4), b=nn.Linear(7, 3))),
    "channels joined": (32, 0, lambda: Network(joined, a=nn.Conv2d(2, 3, 3, padding=1))),
    "up by a factor": (32, 0, lambda: Chain(PLANE, nn.Upsample(scale_factor=2.3), nn.Conv2d(2, 3, 2, stride=2))),
    "nearest-exact": (32, 0, lambda: Chain(PLANE, nn.Upsample((7, 3), mode="nearest-exact"), nn.Conv2d(2, 1, 1))),
    "output padding": (32, 0, lambda: Chain(PLANE, nn.ConvTranspose2d(2, 3, 3, 2, 1, output_padding=1), nn.Tanh())),
    "a plane's layer norm": (32, 0, lambda: Chain(PLANE, nn.Conv2d(2, 2, 3), nn.LayerNorm((2, 2, 2)), nn.Flatten(), nn.SiLU())),
}
"""Inputs, labels, and what makes a network."""


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_a_persons_own(name):
    inputs, labels, make = NETWORKS[name]
    torch.manual_seed(0)
    agree(make(), inputs, labels)


REFUSED = {
    "nn.functional.gelu": Chain(nn.Linear(32, 3), nn.GELU()),
    "nn.functional.pad": Chain(PLANE, nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")),
    "nn.functional.conv2d": Chain(PLANE, nn.Conv2d(2, 4, 3, groups=2)),
    "nn.functional.conv_transpose2d": Chain(PLANE, nn.ConvTranspose2d(2, 4, 3, dilation=2)),
    "nn.functional.conv1d": Chain(nn.Unflatten(1, (2, 16)), nn.Conv1d(2, 4, 3)),
    "nn.functional.interpolate": Chain(PLANE, nn.Upsample(scale_factor=2, mode="bilinear")),
    "nn.functional.layer_norm": Chain(PLANE, nn.LayerNorm(4)),
    "nn.functional.group_norm": Network(lambda m, x, _: m["a"](x.view(2, 4, 4)), a=nn.GroupNorm(2, 4)),
    "nn.functional.linear": Chain(PLANE, nn.Linear(4, 3)),
    "cat": Network(lambda m, x, _: torch.cat((x.view(2, 16), x.view(2, 16)), 1)),
    "Tensor.mul": Network(lambda m, x, _: x + 0.1 * m["a"](x), a=nn.Linear(32, 32)),
    "Tensor.add": Network(lambda m, x, _: m["a"](x) + 1, a=nn.Linear(32, 3)),
    "Tensor.__bool__": Network(lambda m, x, _: m["a"](x) if x else x, a=nn.Linear(32, 3)),
    "Tensor.__getitem__": Network(lambda m, x, _: m["a"](x[:, :4]), a=nn.Linear(4, 3)),
    "Tensor.expand": Network(lambda m, x, _: m["a"](x).expand(2, 3), a=nn.Linear(32, 3)),
    "Tensor.mT.__get__": Network(lambda m, x, _: m["a"](x).mT, a=nn.Linear(32, 3)),
    "Tensor.numpy": Network(lambda m, x, _: m["a"](torch.from_numpy(x.numpy())), a=nn.Linear(32, 3)),
    "randn_like": Network(lambda m, x, _: x + torch.randn_like(x)),
}  # fmt: skip
OTHERS = {
    "a constant": ("torch.Tensor.add", Network(lambda m, x, _: m["a"](x) + torch.ones(1, 3), a=nn.Linear(32, 3))),
    "broadcast": ("torch.Tensor.add", Network(lambda m, x, _: m["a"](x) + m["b"](x), a=nn.Linear(32, 1), b=nn.Linear(32, 3))),
    "a weight that is computed": ("torch.nn.functional.linear",
                                  Network(lambda m, x, _: F.linear(x, 2 * m["a"].weight), a=nn.Linear(32, 3))),
    "a filter that is computed": (
        "torch.nn.functional.conv2d",
        Network(lambda m, x, _: F.conv2d(PLANE(x), 2 * m["a"].weight), a=nn.Conv2d(2, 3, 3)),
    ),
    "a scaled sum": ("torch.add", Network(lambda m, x, _: torch.add(x, m["a"](x), alpha=0.5), a=nn.Linear(32, 32))),
    "another argument": ("torch.cat", Network(lambda m, x, _: torch.cat((x, x), axis=1))),
    "nothing done": ("Chain", Chain(nn.Flatten())),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "network"),
    [
        *((f"torch.{name}", network) for name, network in REFUSED.items()),
        *(pytest.param(*other, id=why) for why, other in OTHERS.items()),
    ],
)
def test_what_the_page_has_no_function_for_is_refused_by_its_name(name, network):
    with pytest.raises(
        VaecliError, match=f"^the page cannot compute {re.escape(name)} as the network uses it; expected dense layers, [^\n]*$"
    ):
        operations(network, torch.zeros(1, 1 if "bool" in name else 32), None)
