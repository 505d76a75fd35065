"""A recorded step trains as the step itself does.

Without a GPU these tests show when a step is recorded and when it is replayed: after the warm-up, for full batches alone, with the
numbers of the images that the batch has, and never where recording failed. `Recorder` stands for CUDA there, and what it replays is
the step itself. They cannot show that CUDA records the step: that nothing in it makes Python wait for the device, that the
generator's state is the graph's too, that the graph's memory stays its own, or that a replay gives the step's numbers.

The last tests show that, on a GPU alone; elsewhere they are skipped and say so. They hold two trainings against each other to 1e-4,
so they show neither equal bits nor what is faster.
"""

import copy
from dataclasses import replace

import pytest
import torch

from vaecli import registry
from vaecli.config import Config
from vaecli.model import build
from vaecli.training import loop as training
from vaecli.training.cuda_graph import WARM_UP, RecordedStep
from vaecli.training.loop import fit, make_optimizer
from vaecli.training.save_every import SaveEvery

CONFIG = Config(objective="iwae", k=3, hidden=(20,), batch_size=50, epochs=2, labels="full", lr_warmup=15, clip_norm=5.0)


class Recorder(RecordedStep):
    """Records without a GPU: what it replays is the step, on the tensor that it was recorded with."""

    refused = False
    replayed = 0

    def _on_side_stream(self, index, noise):
        return self._step(index, noise)

    def _record(self, index, noise):
        if self.refused:
            raise RuntimeError("operation not permitted when stream is capturing")

        def replay():
            self.replayed += 1
            return self._step(index, noise)

        return replay


def trained(digits, monkeypatch, refused=None):
    recorders, said = [], []

    def make_step(*arguments):
        step = plain(*arguments)
        if refused is None:
            return step
        recorders.append(Recorder(step, CONFIG.batch_size, said.append))
        recorders[0].refused = refused
        return recorders[0]

    with monkeypatch.context() as patch:
        plain = training.make_step
        patch.setattr(training, "make_step", make_step)
        model = build(CONFIG)
        records = list(fit(model, make_optimizer(model, CONFIG), digits[:570], CONFIG))
    assert said == (refused or False) * [
        "The step cannot be recorded as a CUDA graph, and so takes longer: operation not permitted when stream is capturing"
    ]
    return list(model.parameters()), [record.loss for record in records], recorders


@pytest.mark.parametrize("refused", [False, True])
def test_a_recorded_step_trains_as_the_step_does(digits, monkeypatch, refused):
    weights, losses, _ = trained(digits, monkeypatch)
    recorded, again, (step,) = trained(digits, monkeypatch, refused)
    assert again == losses
    assert all(torch.equal(a, b) for a, b in zip(weights, recorded, strict=True))
    assert step.replayed == (0 if refused else 2 * 11 - WARM_UP)  # 11 full batches an epoch, and one of 20


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("settings", [{"objective": name} for name in registry.names("objective")] + [
    {"objective": "elbo", "kl_warmup": 1.5, "free_bits": 0.01}, {"objective": "stl", "kl_warmup": 1.5},
], ids=str)  # fmt: skip
def test_a_cuda_graph_trains_as_the_step_does(digits, monkeypatch, settings):
    losses, config = [], replace(CONFIG, **settings)
    for recorded in (False, True):
        if not recorded:
            monkeypatch.setattr(training, "RecordedStep", lambda step, *_: step)
        else:
            monkeypatch.undo()
        model = build(config).to("cuda")
        records = fit(model, make_optimizer(model, config), digits.to(torch.device("cuda")), config)
        losses.append([record.loss for record in records])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_goes_on_within_an_epoch_with_the_same_noise(digits):
    """To a rounding: a graph is recorded at another step."""
    losses, saved = [], []
    images, config = digits.to(torch.device("cuda")), replace(CONFIG, binarize="stochastic")
    for begin in (None, 7):
        torch.manual_seed(0)
        model = build(config).to("cuda")
        optimizer = make_optimizer(model, config)
        if begin:
            position, weights, state = saved[0]
            model.load_state_dict(weights)
            for tensor, kept in zip(optimizer.state, state, strict=True):
                with torch.no_grad():
                    tensor.copy_(kept)

        def on_save(position, model=model, optimizer=optimizer):
            saved.append((position, copy.deepcopy(model.state_dict()), [tensor.clone() for tensor in optimizer.state]))

        every = None if begin else SaveEvery.of(7)
        records = fit(model, optimizer, images, config, begin=position if begin else None, save_every=every, on_save=on_save)
        losses.append([record.loss for record in records])
    assert position.steps == 7 and len(position.noise) == len(torch.Generator("cuda").get_state())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
