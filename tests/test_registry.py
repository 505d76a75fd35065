from dataclasses import fields, is_dataclass

import pytest
import torch

from vaecli import registry
from vaecli.config import BINARIZE, SETTINGS, Config
from vaecli.distributions.normal import DiagonalNormal
from vaecli.distributions.pixels import PixelLikelihood
from vaecli.errors import UsageError
from vaecli.model import build
from vaecli.posteriors.base import Posterior
from vaecli.priors.base import Prior
from vaecli.priors.normal import StandardNormal

MEMBERS = [(family, name) for family in registry.REGISTRY for name in registry.names(family)]


@pytest.mark.parametrize(("family", "name"), MEMBERS)
def test_every_line_leads_to_a_member_with_its_options(family, name):
    member, loaded = registry.find(family, name), registry.load(family, name)
    if family in ("prior", "posterior"):
        assert issubclass(loaded, Prior if family == "prior" else Posterior)
        model = build(Config(latent_dim=3, **{family: name}))
        made = model.prior if family == "prior" else model.posterior_of
        distribution = made() if family == "prior" else made(torch.zeros(2, made.features))
        assert (registry.DIAGONAL in member.capabilities) == isinstance(distribution, DiagonalNormal)
        assert (registry.REPARAMETERISED in member.capabilities) == (family == "prior" and hasattr(distribution, "transform"))
        assert (registry.STANDARD in member.capabilities) == isinstance(made, StandardNormal)
    if family in ("arch", "objective"):
        assert is_dataclass(loaded)
        assert {field.name for field in fields(loaded)} == set(member.defaults)
    assert {option.name for option in member.options} <= {setting.name for setting in SETTINGS}
    if family == "likelihood":
        assert issubclass(loaded, PixelLikelihood)
        assert member.binarize and set(member.binarize) <= set(BINARIZE)


@pytest.mark.parametrize("family", registry.REGISTRY)
def test_a_mistyped_name_gets_the_nearest(family):
    name = registry.names(family)[0]
    with pytest.raises(UsageError, match=f"{family}={name}x: expected one of .*; did you mean {name}\\?"):
        registry.find(family, name + "x")
