"""The optimizer."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam

BETAS = (0.9, 0.999)


class Adam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980), all parameters in one fused step.

    The arithmetic is torch's. Its class of the same name loads torch's compiler when one is made, which takes a second and 100 MB.

    Args:
        parameters: all on one device.
        rate: the learning rate, which may be set anew between steps.
        eps: epsilon.

    Attributes:
        exp_avg: the first moments, one for each parameter.
        exp_avg_sq: the second moments.
        steps: how many were taken, a tensor of shape () for each parameter.
    """

    def __init__(self, parameters: Iterable[Tensor], rate: float, eps: float = 1e-8) -> None:
        self.parameters = list(parameters)
        self.eps = eps
        self.exp_avg = [torch.zeros_like(each) for each in self.parameters]
        self.exp_avg_sq = [torch.zeros_like(each) for each in self.parameters]
        self.steps = [torch.zeros((), device=each.device) for each in self.parameters]
        device = self.parameters[0].device
        # a CUDA graph reads it from the device
        self._rate = torch.tensor(rate, device=device) if device.type == "cuda" else rate

    @property
    def rate(self) -> float:
        """The learning rate."""
        return float(self._rate)

    @rate.setter
    def rate(self, rate: float) -> None:
        if isinstance(self._rate, Tensor):
            self._rate.fill_(rate)
        else:
            self._rate = rate

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for each in self.parameters:
            each.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Moves the parameters against their gradients, which they must have."""
        gradients = [each.grad for each in self.parameters if each.grad is not None]
        adam(
            self.parameters, gradients, self.exp_avg, self.exp_avg_sq, [], self.steps,
            lr=self._rate, beta1=BETAS[0], beta2=BETAS[1], eps=self.eps,
            weight_decay=0, amsgrad=False, maximize=False, fused=True,
        )  # fmt: skip
