"""How training starts on a person's pictures: the first loss, the worst, and the last, in nats per value.

python tests/benchmarks/start.py FOLDER ...
"""

import argparse
from itertools import product

import torch

from vaecli import registry
from vaecli.config import Config
from vaecli.data import load_images
from vaecli.model import build
from vaecli.seeding import generator
from vaecli.training.loop import make_optimizer
from vaecli.training.step import make_step

BATCH = 16

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="+")
    parser.add_argument("--likelihood", nargs="+", default=registry.names("likelihood"))
    parser.add_argument("--arch", nargs="+", default=["conv", "mlp"])
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    print(f"{'folder':16}{'likelihood':22}{'arch':6}{'init_bias':11}{'first':>8}{'worst':>8}{'last':>8}")
    for folder, likelihood, arch, start in product(given.folder, given.likelihood, given.arch, ("random", "data")):
        config = Config(dataset="folder", image_size=given.image_size, arch=arch, likelihood=likelihood, latent_dim=32,
                        init_bias=start, precision="fp32")  # fmt: skip
        images = load_images("folder", "train", folder, image_size=given.image_size)
        model, noise = build(config, images), generator("cpu", "start")
        step = make_step(model, make_optimizer(model, config), images, config)
        losses = []
        while len(losses) < given.steps:
            for index in torch.randperm(len(images), generator=noise).split(BATCH):
                losses.append(-float(step(index, noise)[0]) / len(index) / images.shape.size)
        last = sum(losses[given.steps - 10 : given.steps]) / 10
        name = folder.rstrip("/").rpartition("/")[2]
        print(f"{name:16}{likelihood:22}{arch:6}{start:11}{losses[0]:8.2f}{max(losses[: given.steps]):8.2f}{last:8.2f}", flush=True)
