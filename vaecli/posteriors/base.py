"""The base of all posteriors."""

from torch import Tensor, nn

from vaecli.distributions.latents import PosteriorDistribution


class Posterior(nn.Module):
    """A module that makes q(z | x, y) of the encoder's output; its parameters, if it has any, are trained with the networks.

    A member is made as ``Member(latent_dim, **options)``.

    Attributes:
        latent_dim: size of z.
        features: how many outputs of the encoder it takes.
    """

    def __init__(self, latent_dim: int, features: int) -> None:
        super().__init__()
        self.latent_dim, self.features = latent_dim, features

    def forward(self, h: Tensor, y: Tensor | None = None) -> PosteriorDistribution:
        """q(z | x, y), of batch shape (B,), for the encoder's outputs h, float32, shape (B, features), and labels y."""
        raise NotImplementedError
