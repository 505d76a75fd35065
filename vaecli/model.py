"""The variational autoencoder: prior, posterior and likelihood, all of them distributions."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import shake_128
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import kl_divergence

from vaecli import registry
from vaecli.arguments import Within, checked, wrong
from vaecli.checks import check_parts
from vaecli.config import BINARIZE, Config
from vaecli.data.images import UNKNOWN, Images
from vaecli.distributions.latents import LatentDistribution, PosteriorDistribution
from vaecli.distributions.normal import DiagonalNormal
from vaecli.distributions.pixels import PixelLikelihood
from vaecli.errors import UsageError, VaecliError
from vaecli.image_shape import GREY_28, ImageShape
from vaecli.networks.initialise import glorot
from vaecli.posteriors.base import Posterior
from vaecli.posteriors.diagonal import Diagonal
from vaecli.priors.base import Prior
from vaecli.priors.normal import StandardNormal
from vaecli.seeding import generator, seed_of

MOST = 1e15
"""What networks and bounds on log p(x) give is below this in size, or the model is of no use: their sums and squares overflow."""


def check_finite(*values: Tensor) -> None:
    """Refuses what a model gave where it holds NaN, infinity, or numbers from `MOST`, such as of weights that are finite but huge.

    Raises:
        VaecliError: it does.
    """
    if not all(bool((value.detach().abs() < MOST).all()) for value in values):
        raise VaecliError(
            "the networks of the model give values that are no numbers or too large to compute with; expected a trained model: "
            "train it anew, such as with a smaller {lr=}"
        )


@dataclass(frozen=True, eq=False)
class LogWeights:
    """The densities of which everything is made that is maximised or measured, at k particles z of each of B images; in nats.

    The log importance weight of a particle is log p(x|z) + log p(z) - log q(z|x). What is not asked for is not computed.

    Attributes:
        model: the model.
        x: the images, shape (B, D).
        y: their labels, or None.
        q: their posteriors.
        z: the particles, drawn from `q`, shape (k, B, latent_dim).
    """

    model: "VAE"
    x: Tensor
    y: Tensor | None
    q: PosteriorDistribution
    z: Tensor

    @cached_property
    def likelihood(self) -> Tensor:
        """The values of log p(x|z), shape (k, B)."""
        return self._nats("likelihood", self.model.likelihood(self.z, self.y).log_prob(self.x))

    @cached_property
    def p(self) -> LatentDistribution:
        """The prior."""
        p: LatentDistribution = self.model.prior()
        return p

    @cached_property
    def prior(self) -> Tensor:
        """The values of log p(z), shape (k, B)."""
        return self._nats("prior", self.p.log_prob(self.z))

    @cached_property
    def posterior(self) -> Tensor:
        """The values of log q(z|x), shape (k, B)."""
        return self._nats("posterior", self.q.log_prob(self.z))

    @property
    def log_w(self) -> Tensor:
        """The log importance weights, shape (k, B)."""
        return self.likelihood + self.prior - self.posterior

    @cached_property
    def reconstruction(self) -> Tensor:
        """The mean of log p(x|z) over the particles, an estimate of E_q[log p(x|z)], shape (B,)."""
        return self.likelihood.mean(0)

    @property
    def kl(self) -> Tensor:
        """KL(q(z|x) || p(z)), shape (B,): in closed form where there is one, else the mean of log q - log p over the particles."""
        return self.posterior.sub(self.prior).mean(0) if self._closed_form is None else self._closed_form

    @property
    def kl_by_latent(self) -> Tensor | None:
        """KL of each latent, shape (B, latent_dim), of which `kl` is the sum; None where it has no closed form latent by latent."""
        if isinstance(self.q, DiagonalNormal) and isinstance(self.p, DiagonalNormal):
            return kl_divergence(self.q.marginals, self.p.marginals)
        return None

    @property
    def kl_is_exact(self) -> bool:
        """Whether `kl` is in closed form."""
        return self._closed_form is not None

    def _nats(self, part: str, values: Tensor) -> Tensor:
        """The values, which a part that vaecli does not ship may give in another shape, such as for each latent."""
        if values.shape != self.z.shape[:-1]:
            shapes = f"{tuple(values.shape)}, expected {tuple(self.z.shape[:-1])}"
            raise UsageError(f"the {part} gives log densities of shape {shapes}: a sum over all of a particle")
        return values

    @cached_property
    def _closed_form(self) -> Tensor | None:
        q: Any = self.q
        p: Any = self.p
        try:
            kl: Tensor = kl_divergence(q, p)
        except NotImplementedError:
            return None
        return kl


class VAE(nn.Module):
    """p(z) p(x | z, y) with the amortised posterior q(z | x, y); y is the label, or absent.

    Kingma & Welling 2014, arXiv:1312.6114; with labels: Sohn, Lee & Yan 2015, "Learning structured output representation using
    deep conditional generative models", its prior left as N(0, I).

    Args:
        encoder: (x, y) to what the posterior is made of, shape (B, posterior.features).
        decoder: (z, y) to the likelihood's raw output, shape (..., outputs_per_pixel, D), of the first `prior.decoded` latents.
        likelihood: makes a distribution over images from that output.
        latent_dim: size of z.
        prior: p(z); N(0, I) if not given.
        posterior: makes q(z | x, y) of the encoder's output; independent Gaussians if not given.
        labels: length of y; 0 for a model without labels.
        binarize: what `observe` does with grey pixels, ``threshold``, ``stochastic`` or ``none``.
        image_shape: of the images, whose `size` is D.

    Raises:
        UsageError: by all its methods too: an argument is of another type or shape.

    Example:
        >>> model = vaecli.load("baseline").model
        >>> z = model.prior.sample(4)
        >>> model.likelihood(z).mean.shape
        torch.Size([4, 784])
    """

    @checked
    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: type[PixelLikelihood],
        latent_dim: Annotated[int, Within(1, 4096)], *, prior: Prior | None = None, posterior: Posterior | None = None,
        labels: Annotated[int, Within(0, 1_000_000)] = 0, binarize: str = "threshold", image_shape: ImageShape = GREY_28,
    ) -> None:  # fmt: skip
        super().__init__()
        if binarize not in BINARIZE:
            raise UsageError(f"{{binarize}}: expected one of {', '.join(BINARIZE)}", binarize=binarize)
        self.encoder, self.decoder = encoder, decoder
        self.pixel_likelihood = likelihood
        self.latent_dim, self.labels, self.binarize, self.image_shape = latent_dim, labels, binarize, image_shape
        self.prior = StandardNormal(latent_dim) if prior is None else prior
        self.posterior_of = Diagonal(latent_dim) if posterior is None else posterior
        self.prior.attach(self.posterior, image_shape.size, labels)
        self._bf16 = False
        self.register_buffer("_zero", torch.zeros(()), persistent=False)
        self._zero: Tensor

    @property
    def conditional(self) -> bool:
        """Whether encoder and decoder see labels."""
        return self.labels > 0

    @property
    def device(self) -> torch.device:
        """The device of its weights."""
        return self._zero.device

    @contextmanager
    def networks_in_bf16(self, enabled: bool = True) -> Iterator[None]:
        """A context in which encoder and decoder multiply matrices in bfloat16; densities, priors and posteriors do not."""
        before, self._bf16 = self._bf16, enabled
        try:
            yield
        finally:
            self._bf16 = before

    def _rounding(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False) if self._bf16 else nullcontext()

    def features(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """What the posterior is made of, for images x, shape (B, D), and labels y, shape (B, labels) or None.

        The posteriors of some of these images, or of several batches, are made by `posterior_of` of some of the rows, or of all.

        Returns:
            The encoder's outputs, float32, shape (B, posterior_of.features).
        """
        self._check("x", x, self.image_shape.size)
        self._check_condition(y)
        with self._rounding():
            h: Tensor = self.encoder(x, y)
        return h.float()

    def posterior(self, x: Tensor, y: Tensor | None = None) -> PosteriorDistribution:
        """q(z | x, y) for images x, shape (B, D), and labels y, shape (B, labels) or None."""
        q: PosteriorDistribution = self.posterior_of(self.features(x, y), y)
        return q

    def likelihood(self, z: Tensor, y: Tensor | None = None) -> PixelLikelihood:
        """p(x | z, y) for latents z, shape (..., B, latent_dim): a distribution over images, batch shape (..., B)."""
        self._check("z", z, self.latent_dim)
        self._check_condition(y)
        seen = z if self.prior.decoded == self.latent_dim else z[..., : self.prior.decoded]
        with self._rounding():
            output = self.decoder(seen, y)
        likelihood: PixelLikelihood = self.pixel_likelihood(output)
        return likelihood

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The reconstructions of images x, shape (B, D): the means of p(x | z, y) at the means z of their posteriors.

        Nothing is drawn. The values are on the scale of x, as `observe` gives it.

        Args:
            x: images, shape (B, D).
            y: their labels, shape (B, labels), as `condition` makes them, or None.

        Returns:
            Shape (B, D).
        """
        return self.likelihood(self.posterior(x, y).mean, y).mean

    def log_weights(self, x: Tensor, y: Tensor | None, eps: Tensor, q: PosteriorDistribution | None = None) -> LogWeights:
        """The log p(x|z), log p(z) and log q(z|x) of k particles of each of B images.

        Args:
            x: images, shape (B, D).
            y: their labels, shape (B, labels), or None.
            eps: standard normal noise, shape (k, B, latent_dim), of which the particles are made.
            q: their posteriors, where these are known.

        Example:
            >>> model, digits = vaecli.load("baseline").model, vaecli.load_images("mnist", "test", limit=3)
            >>> x = model.observe(digits.pixels, torch.Generator())
            >>> model.log_weights(x, None, torch.randn(5, 3, model.latent_dim)).log_w.shape
            torch.Size([5, 3])
        """
        q = self.posterior(x, y) if q is None else q
        return LogWeights(self, x, y, q, q.transform(eps))

    def encode(self, x: Tensor, y: Tensor | None = None) -> PosteriorDistribution:
        """As `posterior`, of which numbers and pictures are made.

        Raises:
            VaecliError: the encoder gives values that are no finite numbers.
        """
        q = self.posterior(x, y)
        check_finite(q.mean, q.stddev)
        return q

    def decode(self, z: Tensor, y: Tensor | None = None) -> PixelLikelihood:
        """As `likelihood`, of which pictures are made.

        Raises:
            VaecliError: the decoder gives values that are no finite numbers.
        """
        likelihood = self.likelihood(z, y)
        check_finite(likelihood.output)
        return likelihood

    def condition(self, labels: Tensor) -> Tensor | None:
        """The y of labels of shape (B,): one-hot, zeros where unknown, shape (B, `labels`); None for a model without labels."""
        if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.ndim != 1:
            raise wrong("labels", labels, "expected a tensor of torch.int64, shape (B,)")
        if self.conditional and labels.device.type == "cpu" and len(labels):  # elsewhere it would wait for the device
            least, most = (int(value) for value in labels.aminmax())
            if not UNKNOWN <= least <= most < self.labels:
                odd = least if least < UNKNOWN else most
                raise UsageError(
                    f"{{labels}}: expected 0 to {self.labels - 1}, or {UNKNOWN} where a label is not known", labels=odd
                )
        return one_hot(labels, self.labels) if self.conditional else None

    def observe(self, pixels: Tensor, noise: torch.Generator | Tensor | None = None) -> Tensor:
        """The values x in the support of the likelihood, float32, from bytes of shape (..., D).

        Black or white as `binarize` says, or grey as the likelihood scales it. Stochastic pixels are drawn once for each image
        (`own_levels`); in training they are drawn from `noise`, or made by its `levels`.
        """
        if not isinstance(pixels, Tensor) or pixels.dtype != torch.uint8:
            raise wrong("pixels", pixels, "expected a tensor of torch.uint8, from 0 black to 255 white")
        if not isinstance(noise, torch.Generator | Tensor | None):
            raise wrong("noise", noise, "expected a torch.Generator, or None")
        return self.pixel_likelihood.grey(pixels) if self.binarize == "none" else _binarized(pixels, self.binarize, noise).float()

    def check_beside(self, name: str, other: object) -> None:
        """Refuses images that are none, of another shape or with other labels; other things fit.

        Args:
            name: of the argument.
            other: the argument's value.

        Raises:
            UsageError: they do not fit the model.
        """
        if not isinstance(other, Images):
            return
        if not len(other):
            raise UsageError(f"{{{name}=}}: found none, expected at least one image")
        if other.shape != self.image_shape:
            raise UsageError(f"{{{name}=}}: found images of {other.shape}, expected {self.image_shape}, those of the model")
        if self.conditional and other.class_names and len(other.class_names) != self.labels:
            raise UsageError(
                f"{{{name}=}}: found {len(other.class_names)} names of labels, expected {self.labels}, those of the model"
            )

    def _check(self, name: str, values: Tensor, size: int) -> None:
        if not isinstance(values, Tensor) or not values.is_floating_point() or values.shape[-1:] != (size,):
            raise wrong(name, values, f"expected a tensor of torch.float32, shape (..., {size})")
        if values.device != self.device:
            raise UsageError(f"found images or latents on {values.device} and a model on {self.device}, expected one device")

    def _check_condition(self, y: Tensor | None) -> None:
        if y is None:
            return
        if not self.conditional:
            raise wrong("y", y, "expected None: the model was trained without labels")
        self._check("y", y, self.labels)

    @checked
    @torch.inference_mode()
    def mean_image(self, images: Images) -> Tensor:
        """The mean of `observe` over the images, in expectation over its noise: shape (D,)."""
        self.check_beside("images", images)
        parts = self._parts(images)
        if self.binarize == "stochastic":
            return sum((part.float().sum(0) for part in parts), self._zero) / (255 * len(images))
        return sum((self.observe(part).sum(0) for part in parts), self._zero) / len(images)

    @torch.inference_mode()
    def mean_square(self, images: Images) -> Tensor:
        """The mean of the square of `observe` over the images, likewise: shape (D,)."""
        if self.binarize != "none":  # the square of 0 or 1 is itself
            return self.mean_image(images)
        squares = (self.pixel_likelihood.grey(part).square().sum(0) for part in self._parts(images))
        return sum(squares, self._zero) / len(images)

    def _parts(self, images: Images) -> Iterator[Tensor]:
        """The images' pixels, some at a time, on the model's device."""
        return (part.to(self.device) for part in images.pixels.split(self.image_shape.scaled_batch(10_000)))

    def output_without_latents(self, images: Images, by_channel: bool = False) -> Tensor:
        """The decoder's output for pixels with the mean of `images`, and the spread of each channel where a likelihood has a scale.

        Args:
            images: on any device.
            by_channel: the mean of each channel, not of each of its pixels.

        Returns:
            Shape (outputs_per_pixel, D), or (outputs_per_pixel, channels).
        """
        mean, square = (image.view(self.image_shape.channels, -1) for image in (self.mean_image(images), self.mean_square(images)))
        of_channel = mean.mean(1, keepdim=True)
        # of all pixels of a channel: that of one pixel says little where there are few images
        deviation = (square.mean(1, keepdim=True) - of_channel.square()).clamp(min=0).sqrt()
        mean = of_channel if by_channel else mean
        return self.pixel_likelihood.output_for(mean.flatten(), deviation.expand_as(mean).flatten())


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """One-hot vectors, float32, shape (B, classes), of labels of shape (B,); all zeros where the label is unknown."""
    return (labels.unsqueeze(-1) == torch.arange(classes, device=labels.device)).float()


def observed_images(images: Images, binarize: str) -> Images:
    """The images as a model sees them, in bytes: black or white, or as they are with ``none``. Their digest says which pixels."""
    if binarize == "none":
        return images
    pixels = torch.empty_like(images.pixels)
    size = images.shape.scaled_batch(10_000)
    for part, seen in zip(images.pixels.split(size), pixels.split(size), strict=True):
        torch.mul(_binarized(part, binarize, None), 255, out=seen)
    return replace(images, pixels=pixels)


def _binarized(pixels: Tensor, how: str, noise: torch.Generator | Tensor | None) -> Tensor:
    """Pixels in {0, 1}, one byte each, of grey bytes of shape (..., D).

    Args:
        pixels: uint8.
        how: ``threshold``: 1 where the byte is above 127, else 0. ``stochastic``: 1 with probability byte / 255 (Salakhutdinov &
            Murray 2008).
        noise: what ``stochastic`` draws from, or its `levels`, of the pixels' shape; None for `own_levels`.
    """
    if how == "threshold":
        return pixels >> 7
    if noise is None:
        noise = own_levels(pixels)
    return (noise if isinstance(noise, Tensor) else levels(pixels.shape, noise)) < pixels


def levels(shape: Sequence[int], noise: torch.Generator) -> Tensor:
    """The levels, uniform from 0 to 254, above which pixels become white: uint8, on the device of `noise`."""
    return torch.randint(255, shape, dtype=torch.uint8, device=noise.device, generator=noise)


def own_levels(pixels: Tensor) -> Tensor:
    """The `levels` of a binarised test set: an image's own, the same in every process, command and run.

    They are made of the image's bytes alone: its SHAKE-128 is read as little-endian numbers of 32 bits, u, and the level is the
    whole part of 255 u / 2^32.

    Args:
        pixels: uint8, shape (..., D).

    Returns:
        uint8, shape (..., D), on the device of `pixels`. Images without greys get 0, since any level leaves them as they are.

    Example:
        >>> own_levels(torch.tensor([[0, 100, 200]], dtype=torch.uint8))
        tensor([[ 84, 160, 150]], dtype=torch.uint8)
    """
    found = torch.zeros(pixels.shape, dtype=torch.uint8).view(-1, pixels.shape[-1])
    images = pixels.cpu().view_as(found)
    for index in ((images != 0) & (images != 255)).any(1).nonzero():
        words = np.frombuffer(shake_128(images[index].numpy().tobytes()).digest(4 * pixels.shape[-1]), "<u4")
        found[index] = torch.from_numpy((words.astype(np.uint64) * 255 >> np.uint64(32)).astype(np.uint8))
    return found.view(pixels.shape).to(pixels.device)


@checked
def build(config: Config, images: Images | None = None) -> VAE:
    """A model at the start of training, on the CPU.

    Its weights depend on the settings and the number of labels, and no global seed is touched. With ``init_bias`` data the
    decoder's output bias is that of the mean of the training `images` (Burda et al. 2015, section 5) and, of likelihoods with a
    scale, of their spread; for a convolution those of each channel. A decoder without a last layer called output keeps the biases
    that it has. A prior may begin at some of the images.

    Args:
        config: the settings.
        images: to train on; if not given, those of the data set are expected, with its labels.

    Raises:
        UsageError: the settings ask for labels, and the images have none; or there are no images, or of another shape.
    """
    if images is not None and config.labels != "none" and not images.class_names:
        raise UsageError(
            "{labels}: the images have none; expected sub-folders, one a label, or {labels=none}", labels=config.labels
        )
    model = made(config, None if images is None else len(images.class_names))
    if images is not None:
        model.check_beside("images", images)
    if config.init == "glorot":
        noise = generator("cpu", "weights", config.seed)
        glorot(model.encoder, noise)
        glorot(model.decoder, noise)
    output: Any = getattr(model.decoder, "output", None)
    if model.pixel_likelihood.zero_start and output is not None:
        nn.init.zeros_(output.weight)
        nn.init.zeros_(output.bias)
    if config.init_bias == "data" and images is not None and begins_at_data(model):
        start = model.output_without_latents(images, by_channel=output.bias.numel() < model.image_shape.size)
        output.bias.data.copy_(start.flatten())
    if images is not None and model.prior.examples:
        noise = generator("cpu", "examples", config.seed)
        some = images[torch.randperm(len(images), generator=noise)[: model.prior.examples]].to("cpu")
        model.prior.begin(model.observe(some.pixels), model.condition(some.labels), noise)
    return model


def begins_at_data(model: VAE) -> bool:
    """Whether the decoder has a last layer called output with a bias for each value of its output, or for each channel of it."""
    bias = getattr(getattr(model.decoder, "output", None), "bias", None)
    of_pixel, shape = model.pixel_likelihood.outputs_per_pixel, model.image_shape
    return isinstance(bias, Tensor) and bias.numel() in (of_pixel * shape.size, of_pixel * shape.channels)


def made(config: Config, classes: int | None = None) -> VAE:
    """A model whose layers have the weights that they make themselves, on the CPU, by the settings' seed.

    Args:
        config: the settings.
        classes: how many labels the images have; by default as many as the data set's.
    """
    # Layers draw from PyTorch's own generator: here from a fork of it, so that a caller's is left as it was
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of("weights", config.seed))
        model = _made(config, classes)
        check_parts(
            config, model.encoder, model.decoder, model.prior, model.posterior_of, model.image_shape, model.labels,
            model.pixel_likelihood.outputs_per_pixel,
        )  # fmt: skip
        return model


def skeleton(config: Config, classes: int | None = None) -> VAE:
    """A model like that of `made` on the meta device: its tensors have shapes but take no memory."""
    with torch.device("meta"):
        return _made(config, classes)


def _made(config: Config, classes: int | None) -> VAE:
    """A model on the device that is the default."""
    config.check_loaded("arch", "prior", "posterior", "likelihood")
    likelihood = registry.load("likelihood", str(config.likelihood))
    if options := config.options("likelihood"):
        likelihood = type(likelihood.__name__, (likelihood,), options)
    if config.labels == "none":
        classes = 0
    elif classes is None:
        classes = len(registry.load("dataset", config.dataset).class_names())
    shape = config.image_shape
    arch = config.made("arch")
    prior = config.made("prior", config.latent_dim)
    posterior = config.made("posterior", config.latent_dim)
    encoder = arch.encoder(shape, classes, outputs=posterior.features)
    decoder = arch.decoder(shape, prior.decoded, classes, outputs=likelihood.outputs_per_pixel)
    return VAE(
        encoder, decoder, likelihood, config.latent_dim, prior=prior, posterior=posterior, labels=classes,
        binarize=str(config.binarize), image_shape=shape,
    )  # fmt: skip
