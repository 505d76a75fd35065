import torch

from vaecli.config import Config
from vaecli.evaluation import evaluate
from vaecli.model import build
from vaecli.training import fit, make_optimizer


def test_evaluation_repeats_itself_and_leaves_the_model_alone(digits):
    model = build(Config(epochs=1, binarize="stochastic"))
    list(fit(model, make_optimizer(model, model.config), digits, model.config))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = evaluate(model, digits)
    torch.manual_seed(5)
    again = evaluate(model, digits)
    assert torch.equal(again.reconstruction, first.reconstruction)
    assert torch.equal(again.kl, first.kl)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
