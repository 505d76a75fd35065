"""What networks make of labels, whatever the architecture."""

import pytest
import torch

from vaecli import registry
from vaecli.config import Config
from vaecli.data.images import UNKNOWN
from vaecli.model import build
from vaecli.seeding import generator


@pytest.mark.parametrize("arch", registry.names("arch"))
def test_both_networks_see_the_label_and_an_unknown_one_is_none(arch):
    model = build(Config(arch=arch, labels="full", latent_dim=3))
    x = torch.rand(1, 784, generator=generator("cpu", "x")).expand(3, -1)
    z = torch.randn(1, 3, generator=generator("cpu", "z")).expand(3, -1)
    y = model.condition(torch.tensor([3, 4, UNKNOWN]))
    for labelled, bare in (
        (model.posterior(x, y).loc, model.posterior(x[:1]).loc),
        (model.likelihood(z, y).mean, model.likelihood(z[:1]).mean),
    ):
        three, four, unknown = labelled
        assert not torch.allclose(three, four)
        assert not torch.allclose(three, unknown)
        torch.testing.assert_close(unknown, bare[0])
