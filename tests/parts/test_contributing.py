"""The prior that CONTRIBUTING.md brings does what CONTRIBUTING.md says."""

import re
import sys
from types import ModuleType

import pytest
import torch

from tests.helpers import ROOT
from vaecli import registry
from vaecli.config import Config
from vaecli.evaluation.measure import measure
from vaecli.model import build
from vaecli.training.loop import fit, make_optimizer


def test_the_laplace_prior(digits, monkeypatch):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(\"\"\"A Laplace prior.*?)```", text, re.DOTALL)
    (line,) = re.findall(r"```python\n(\"laplace\": Member.*?),\n```", text)
    module = ModuleType("vaecli.priors.laplace")
    exec(compile(code, "CONTRIBUTING.md", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(registry.REGISTRY["prior"], "laplace", eval(f"{{{line}}}", {"Member": registry.Member})["laplace"])

    config = Config(prior="laplace", epochs=2, batch_size=20, hidden=(20,))
    model = build(config)
    before = model.prior.log_scale.detach().clone()
    first, second = fit(model, make_optimizer(model, config), digits, config)
    assert second.loss < first.loss
    assert not torch.equal(model.prior.log_scale, before)
    z = model.prior.sample(200_000, torch.Generator().manual_seed(0))
    # the standard deviation of a Laplace density is sqrt(2) times its scale
    assert z.std(0).tolist() == pytest.approx((2**0.5 * model.prior.log_scale.exp()).tolist(), rel=0.02)
    measured = measure(model, digits[:100], k=(1, 50))
    assert not measured.kl_is_exact
    assert measured.bounds[1].mean < measured.bounds[50].mean
