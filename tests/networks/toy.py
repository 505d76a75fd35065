"""An architecture of somebody else's, with norms of both kinds and buffers that count."""

from torch import nn

from vaecli.networks.layers import Decoder, LabelledLinear


class Normed:
    def encoder(self, shape, labels, outputs):
        return _Encoder(shape.size, labels, outputs)

    def decoder(self, shape, latent_dim, labels, outputs):
        return _Decoder(latent_dim, labels, outputs, shape.size)


class _Encoder(nn.Module):
    def __init__(self, inputs, labels, outputs):
        super().__init__()
        self.input = LabelledLinear(inputs, labels, 32)
        self.batch, self.layer = nn.BatchNorm1d(32), nn.LayerNorm(32)
        self.last = nn.Linear(32, outputs)

    def forward(self, x, y=None):
        return self.last(self.layer(self.batch(self.input(x, y)).relu()))


class _Decoder(Decoder):
    def __init__(self, latent_dim, labels, outputs, size):
        super().__init__()
        self.outputs = outputs
        self.input = LabelledLinear(latent_dim, labels, 32)
        self.layer, self.batch = nn.LayerNorm(32), nn.BatchNorm1d(32)
        self.output = nn.Linear(32, outputs * size)

    def forward(self, z, y=None):
        h = self.layer(self.input(z, y).relu())
        return self.output(self.batch(h.flatten(0, -2)).view_as(h)).unflatten(-1, (self.outputs, -1))


Toy = Normed
