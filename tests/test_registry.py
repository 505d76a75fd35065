from dataclasses import fields, is_dataclass

import pytest

from vaecli import registry
from vaecli.config import BINARIZE, SETTINGS
from vaecli.distributions.pixels import PixelLikelihood
from vaecli.errors import UsageError

MEMBERS = [(family, name) for family in registry.REGISTRY for name in registry.names(family)]


@pytest.mark.parametrize(("family", "name"), MEMBERS)
def test_every_line_leads_to_a_member_with_its_options(family, name):
    member, loaded = registry.find(family, name), registry.load(family, name)
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
