"""What each process of a test does: a step, a short training and a measurement, as a person's own script would.

python -m torch.distributed.run --nproc-per-node N shared_work.py FOLDER DATA
"""

import json
import sys
from pathlib import Path

import torch

import vaecli
from vaecli.data import load_images
from vaecli.model import build
from vaecli.processes import joined
from vaecli.seeding import generator
from vaecli.training.loop import make_optimizer
from vaecli.training.step import make_step

SETTINGS = {"latent_dim": 2, "hidden": (20,), "objective": "iwae", "k": 5, "binarize": "stochastic", "batch_size": 64,
            "labels": "partial", "label_fraction": 0.5, "precision": "fp32", "epochs": 1, "limit": 590, "clip_norm": 5.0,
            "lr_warmup": 3}  # fmt: skip


COUPLED = vaecli.Config(objective="beta-tc", free_bits=0.02, hidden=(20,), precision="fp32")
"""Of which the processes send each other latents, with their gradient."""


def gradient_of(config, images, batch, processes):
    model = build(config)
    take = make_step(model, make_optimizer(model, config), images, config, processes)
    take(torch.arange(batch), generator("cpu", "noise"))
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).tolist()


def work(folder, data):
    processes = joined(torch.device("cpu"))
    config = vaecli.Config(**SETTINGS)
    images = load_images("mnist", "train", data)[:590]
    gradients = [gradient_of(*job, processes) for job in ((config, images, 64), (COUPLED, images, 64), (COUPLED, images, 2))]

    run = vaecli.train(config, folder / "run", data_dir=data)
    test = load_images("mnist", "test", data)
    measured = {name: vaecli.measure(run.model, test[:count], **how).to_json() for name, count, how in (
        ("plain", 150, {"k": (1, 50)}),
        ("mixture", 70, {"k": (50,), "proposal": "mixture"}),
        ("table", 200, {"k": (3000,)}),
        ("annealed", 30, {"k": (), "ais": vaecli.AIS(5, 20), "bdmc": 25}),
        ("exact", 3, {"k": (), "exact": True, "marginal_labels": True}),
    )}  # fmt: skip
    found = {"gradients": gradients, "results": run.results, "log": run.log, "measured": measured}
    (folder / f"found-{processes.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    work(*map(Path, sys.argv[1:]))
