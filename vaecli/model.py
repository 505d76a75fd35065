"""The variational autoencoder: prior, posterior and likelihood, all of them distributions."""

import torch
from torch import Tensor, nn

from vaecli import registry
from vaecli.config import Config
from vaecli.data.images import CLASSES, Images
from vaecli.data.labels import one_hot
from vaecli.distributions.normal import DiagonalNormal
from vaecli.distributions.pixels import PixelLikelihood
from vaecli.networks.initialise import initialise
from vaecli.seeding import generator

LOG_SIGMA = 20.0


class VAE(nn.Module):
    """p(z) p(x | z, y) with the amortised posterior q(z | x, y); y is the label, or absent.

    Kingma & Welling 2014, arXiv:1312.6114; with labels: Sohn, Lee & Yan 2015, "Learning structured output representation using
    deep conditional generative models", its prior left as N(0, I).

    Made from a run's settings without weights of any meaning; `build` starts them, `vaecli.runs.checkpoint` loads them.

    Args:
        config: the settings; latents have shape (..., latent_dim), images (..., 784).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.pixel_likelihood = registry.load("likelihood", config.likelihood)
        options = registry.find("arch", config.arch).options
        arch = registry.load("arch", config.arch)(**{name: getattr(config, name) for name in options})
        labels = CLASSES if self.conditional else 0
        self.encoder = arch.encoder(labels, outputs=2 * config.latent_dim)
        self.decoder = arch.decoder(config.latent_dim, labels, outputs=self.pixel_likelihood.outputs_per_pixel)
        self.register_buffer("_zeros", torch.zeros(config.latent_dim), persistent=False)
        self._zeros: Tensor

    @property
    def conditional(self) -> bool:
        """Whether encoder and decoder see labels."""
        return self.config.labels != "none"

    @property
    def prior(self) -> DiagonalNormal:
        """p(z) = N(0, I) over latents of shape (latent_dim,)."""
        return DiagonalNormal(self._zeros, self._zeros)

    def posterior(self, x: Tensor, y: Tensor | None = None) -> DiagonalNormal:
        """q(z | x, y) for images x, shape (B, 784), and labels y, shape (B, 10) or None.

        Its log sigma is held within 20 of 0, where sigma^2 and its inverse are still numbers in float32.
        """
        mu, log_sigma = self.encoder(x, y).float().chunk(2, -1)
        return DiagonalNormal(mu, log_sigma.clamp(-LOG_SIGMA, LOG_SIGMA))

    def likelihood(self, z: Tensor, y: Tensor | None = None) -> PixelLikelihood:
        """p(x | z, y) for latents z, shape (..., B, latent_dim): a distribution over images, batch shape (..., B)."""
        likelihood: PixelLikelihood = self.pixel_likelihood(self.decoder(z, y))
        return likelihood

    def condition(self, labels: Tensor) -> Tensor | None:
        """The y of labels of shape (B,): one-hot, zeros where unknown, shape (B, 10); None for a model without labels."""
        return one_hot(labels) if self.conditional else None

    def observe(self, pixels: Tensor, noise: torch.Generator) -> Tensor:
        """The values x that the likelihood is about, float32, for bytes of any shape.

        ``threshold``: 1 where the byte is above 127, else 0. ``stochastic``: 1 with probability byte / 255, drawn from `noise`.
        ``none``: grey, as the likelihood scales it.
        """
        match self.config.binarize:
            case "threshold":
                return (pixels >> 7).float()
            case "stochastic":
                return (torch.randint(255, pixels.shape, generator=noise, dtype=torch.uint8, device=pixels.device) < pixels).float()
            case _:
                grey: Tensor = self.pixel_likelihood.grey(pixels)
                return grey

    @torch.inference_mode()
    def mean_image(self, images: Images) -> Tensor:
        """The mean of what `observe` makes of the images, in expectation over its noise: shape (784,)."""
        parts = images.pixels.split(10_000)
        if self.config.binarize == "stochastic":
            return sum((part.float().sum(0) for part in parts), self._zeros.new_zeros(())) / (255 * len(images))
        noise = generator(images.pixels.device, "unused")
        return sum((self.observe(part, noise).sum(0) for part in parts), self._zeros.new_zeros(())) / len(images)


def build(config: Config, images: Images | None = None) -> VAE:
    """A model at the start of training, on the CPU.

    Its weights depend on the settings alone, and no global seed is touched. With ``init_bias`` data the decoder's output bias is
    that of the mean of the training `images` (Burda et al. 2015, section 5), for a convolution that of its mean pixel.
    """
    model = empty(config)
    noise = generator("cpu", "weights", config.seed)
    initialise(model.encoder, noise, config.init)
    initialise(model.decoder, noise, config.init)
    if model.pixel_likelihood.zero_start:
        nn.init.zeros_(model.decoder.output.weight)
        nn.init.zeros_(model.decoder.output.bias)
    if config.init_bias == "data" and images is not None:
        output = model.pixel_likelihood.output_for(model.mean_image(images).cpu())
        bias = model.decoder.output.bias.data
        bias.copy_(output.flatten() if bias.numel() == output.numel() else output.mean(1))
    return model


def empty(config: Config) -> VAE:
    """A model whose weights are memory not yet filled."""
    model = skeleton(config)
    model.load_state_dict({name: torch.empty(each.shape) for name, each in model.state_dict().items()}, assign=True)
    model._zeros = torch.zeros(config.latent_dim)
    return model


def skeleton(config: Config) -> VAE:
    """A model whose tensors have shapes but take no memory, however large the settings."""
    with torch.device("meta"):
        return VAE(config)
