import torch

from vaecli.seeding import generator
from vaecli.training.optimizer import Adam


def test_its_steps_are_those_of_torchs_adam():
    noise = generator("cpu", "adam")
    starts = [torch.randn(40, 30, generator=noise), torch.randn(7, generator=noise)]
    ours = [tensor.clone().requires_grad_() for tensor in starts]
    theirs = [tensor.clone().requires_grad_() for tensor in starts]
    optimizer = Adam(ours, lr=0.1, eps=1e-4)
    reference = torch.optim.Adam(theirs, lr=0.1, eps=1e-4, fused=True)
    for rate in (0.1, 0.1, 0.01):
        optimizer.lr = reference.param_groups[0]["lr"] = rate
        assert optimizer.lr == rate
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=noise)
            b.grad = a.grad.clone()
        optimizer.step()
        reference.step()
        for a, b, start in zip(ours, theirs, starts, strict=True):
            assert torch.equal(a, b)
            assert not torch.equal(a, start)
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in ours)
