"""The skew geometric Jensen-Shannon divergence instead of KL."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.distributions import kl_divergence

from vaecli.distributions.normal import DiagonalNormal
from vaecli.model import VAE
from vaecli.objectives.base import Bound


@dataclass(frozen=True)
class GJS:
    """E_q[log p(x|z)] - GJS_alpha(q || p), where GJS_alpha(q || p) = (1 - alpha) KL(q || g) + alpha KL(p || g).

    g is the normalised geometric mean q^alpha p^(1 - alpha), a Gaussian too, so that all of it is in closed form (Deasy,
    Simidjievski & Lio 2020, arXiv:2006.10599, section 3, with their alpha' = 1 - alpha in the mean).

    Attributes:
        k: particles in the estimate of E_q[log p(x|z)].
        alpha: skew, from 0, which is KL(q || p), to 1, which is KL(p || q).
    """

    k: int
    alpha: float

    @property
    def draws(self) -> int:
        """Noise for each of the k particles."""
        return self.k

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor) -> Bound:
        """Nats per image, shape (B,)."""
        w = model.log_weights(x, y, eps)
        q: Any = w.q
        p: Any = w.p
        g = geometric_mean(q, p, self.alpha)
        divergence = (1 - self.alpha) * kl_divergence(q, g) + self.alpha * kl_divergence(p, g)
        return Bound.of(w.reconstruction - divergence, w)


def geometric_mean(q: DiagonalNormal, p: DiagonalNormal, alpha: float) -> DiagonalNormal:
    """The Gaussian proportional to q^alpha p^(1 - alpha): precisions, and precisions times means, are averaged."""
    q_precision, p_precision = alpha / q.variance, (1 - alpha) / p.variance
    precision = q_precision + p_precision
    return DiagonalNormal((q_precision * q.loc + p_precision * p.loc) / precision, -0.5 * precision.log())
