"""What holds of every architecture's networks, of whatever size."""

import torch

from vaecli.seeding import generator


def check_networks(arch, shape, labels):
    """Each network sees all of an image, each image alone, and its label."""
    encoder, decoder = arch.encoder(shape, labels, 4), arch.decoder(shape, 2, labels, 2)
    noise = generator("cpu", "seen")
    x, z = torch.rand(3, shape.size, generator=noise, requires_grad=True), torch.randn(5, 3, 2, generator=noise)
    y = torch.eye(3) if labels else None
    h, output = encoder(x, y), decoder(z, y)
    assert h.shape == (3, 4) and output.shape == (5, 3, 2, shape.size)
    torch.testing.assert_close(encoder(x[1:2], None if y is None else y[1:2]), h[1:2])
    torch.testing.assert_close(decoder(z[2:, 1:2], None if y is None else y[1:2]), output[2:, 1:2])
    assert (torch.autograd.grad(h.square().sum(), x)[0] != 0).any(0).all()
    assert (output.std((0, 1)) > 0).all()
    if labels:
        assert not torch.allclose(encoder(x, y.flip(0)), h) and not torch.allclose(decoder(z, y.flip(0)), output)
        assert torch.equal(encoder(x), encoder(x, torch.zeros(3, 3)))
