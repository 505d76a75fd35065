"""Priors and posteriors that go together, with small networks of their own."""

from itertools import product

import pytest

from vaecli import registry
from vaecli.config import Config

FEW = {"components": 20, "prior_hidden": (16, 16), "posterior_hidden": (16, 16)}


def options(family, name):
    """The options of a member, small ones."""
    return {option: FEW[option] for option in registry.find(family, name).defaults if option in FEW}


def small(prior="normal", posterior="diagonal", **settings):
    """Settings of a small model."""
    return Config(prior=prior, posterior=posterior, **settings, **options("prior", prior), **options("posterior", posterior))


def fit(prior, posterior):
    needed = registry.find("prior", prior).needs.get("posterior")
    return needed is None or needed in registry.find("posterior", posterior).capabilities


ALL = [pair for pair in product(registry.names("prior"), registry.names("posterior")) if fit(*pair)]

ONCE = [("mixture", "full"), ("flow", "flow"), ("two-layer", "two-layer"), ("vamp", "diagonal")]
"""Each member once."""


def _marked(pair, chosen):
    return pytest.param(*pair, id=" ".join(pair), marks=() if pair in chosen else pytest.mark.slow)


every_pair = pytest.mark.parametrize(("prior", "posterior"), [_marked(pair, ALL) for pair in ALL[1:]])
each_once = pytest.mark.parametrize(("prior", "posterior"), [_marked(pair, ONCE) for pair in ALL[1:]])
"""Each member once; all pairs with ``-m slow``."""
