"""The optimizer."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam

BETAS = (0.9, 0.999)


class Adam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980), all parameters in one fused step.

    The arithmetic is torch's. ``torch.optim.Adam`` loads torch's compiler when it is constructed, which takes a second and 100 MB.

    Args:
        parameters: tensors on one device.
        lr: the learning rate, which may be changed between steps.
        eps: epsilon.

    Attributes:
        exp_avg: the first moments, one for each parameter.
        exp_avg_sq: the second moments.
        steps: the number of steps taken, a tensor of shape () for each parameter.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, eps: float = 1e-8) -> None:
        self.parameters = list(parameters)
        self.eps = eps
        self.exp_avg = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.exp_avg_sq = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.steps = [torch.zeros((), device=parameter.device) for parameter in self.parameters]
        device = self.parameters[0].device
        # on the device, where a CUDA graph reads it
        self._lr = torch.tensor(lr, device=device) if device.type == "cuda" else lr

    @property
    def lr(self) -> float:
        """The learning rate."""
        return float(self._lr)

    @lr.setter
    def lr(self, lr: float) -> None:
        if isinstance(self._lr, Tensor):
            self._lr.fill_(lr)
        else:
            self._lr = lr

    @property
    def state(self) -> list[Tensor]:
        """All that a step changes: the parameters, their moments and their numbers of steps."""
        return [*self.parameters, *self.exp_avg, *self.exp_avg_sq, *self.steps]

    def zero_grad(self) -> None:
        """Removes the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Moves the parameters against their gradients, which they must have."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        adam(
            self.parameters, gradients, self.exp_avg, self.exp_avg_sq, [], self.steps,
            lr=self._lr, beta1=BETAS[0], beta2=BETAS[1], eps=self.eps,
            weight_decay=0, amsgrad=False, maximize=False, fused=True,
        )  # fmt: skip
