"""Looks at the parts of a model that vaecli does not ship before anything is trained: what they give, and in which shape."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vaecli.arguments import kind
from vaecli.config import Config
from vaecli.errors import UsageError
from vaecli.image_shape import ImageShape
from vaecli.posteriors.base import Posterior
from vaecli.priors.base import Prior
from vaecli.registry import find

_COUNT = 2
"""Images, latents or draws of a trial."""


@torch.no_grad()
def check_parts(
    config: Config, encoder: nn.Module, decoder: nn.Module, prior: Prior, posterior: Posterior, shape: ImageShape, labels: int,
    outputs: int,
) -> None:  # fmt: skip
    """Tries the parts of a model on two made images, those that others bring.

    Args:
        config: names the members.
        encoder: on the CPU, as all parts are.
        decoder: likewise.
        prior: likewise.
        posterior: likewise.
        shape: of the images.
        labels: entries of y.
        outputs: parameters of a pixel.

    Raises:
        UsageError: a part fails, lacks something, or gives another shape.
    """
    y = torch.zeros(_COUNT, labels) if labels else None
    if find("arch", config.arch).provider:
        x, z = torch.zeros(_COUNT, shape.size), torch.zeros(_COUNT, prior.decoded)
        encoded, decoded = (_COUNT, posterior.features), (_COUNT, outputs, shape.size)
        what = f"encoder for {_COUNT} images of {shape.size} values"
        _expect(what, lambda: _quietly(encoder, x, y), encoded, "what the posterior takes of each")
        what = f"decoder for {_COUNT} times {prior.decoded} latents"
        meaning = f"{outputs} for each of an image's {shape.size} values, which the likelihood takes"
        _expect(what, lambda: _quietly(decoder, z, y), decoded, meaning)
    if find("posterior", config.posterior).provider:
        name = f"posterior {config.posterior}"
        q = _of(name, lambda: posterior(torch.zeros(_COUNT, posterior.features), y))
        eps = torch.zeros(1, _COUNT, config.latent_dim)
        z = _of(f"{name}: transform", lambda: q.transform(eps))
        _expect(f"{name}: transform", lambda: z, tuple(eps.shape), "the latents")
        _expect(f"{name}: log_prob", lambda: q.log_prob(z), (1, _COUNT), "a sum over the latents")
        _expect(f"{name}: mean", lambda: q.mean, (_COUNT, config.latent_dim), "one for each latent")
        _expect(f"{name}: stddev", lambda: q.stddev, (_COUNT, config.latent_dim), "one for each latent")
        _of(f"{name}: detached", lambda: q.detached())  # noqa: PLW0108  looked up inside
    if find("prior", config.prior).provider:
        name = f"prior {config.prior}"
        p = _of(name, prior)
        z = _of(f"{name}: sample", lambda: prior.sample(_COUNT, torch.Generator().manual_seed(0)))
        _expect(f"{name}: sample", lambda: z, (_COUNT, config.latent_dim), "the latents")
        _expect(f"{name}: log_prob", lambda: p.log_prob(z), (_COUNT,), "a sum over the latents")


def _quietly(network: nn.Module, inputs: Tensor, y: Tensor | None) -> Tensor:
    """What a network gives in evaluation, so that no running mean moves."""
    network.eval()
    try:
        result: Tensor = network(inputs, y)
        return result
    finally:
        network.train()


def _of(what: str, make: Callable[[], Any]) -> Any:
    """What a part gives.

    Raises:
        UsageError: it fails.
    """
    try:
        return make()
    except UsageError:
        raise
    except NotImplementedError:
        raise UsageError(f"the {what}: found no such method, expected one ({_DOCUMENTS})") from None
    except Exception as error:
        why = " ".join(f"{type(error).__name__}: {error}".split()).translate({ord("{"): "(", ord("}"): ")"})[:200]
        raise UsageError(f"the {what}: it fails on {_COUNT} made inputs ({why})") from error


_DOCUMENTS = "docs/extending.md has examples"


def _expect(what: str, make: Callable[[], Any], shape: tuple[int, ...], meaning: str) -> None:
    value = _of(what, make)
    if not isinstance(value, Tensor) or tuple(value.shape) != shape:
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else kind(value)
        raise UsageError(f"the {what}: found {found}, expected shape {shape}, {meaning}")
