"""A small classifier, trained on the spot several times, that says which class a picture shows: the eye of the verdicts.

It is no part of any model that it judges, and sees training images alone. What one network takes a blurred picture for depends on
where its training began: several of them judge, and their spread is a part of the error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from vaecli.data import Images
from vaecli.seeding import generator

HIDDEN, BATCH, EPOCHS, LEARNING_RATE = 256, 200, 5, 1e-3

CLASSIFIERS = 5
"""Networks: at the corrected level of a report Student's t asks for 24 standard errors over three, and for 7 over five."""

CONFIDENT = 0.9
"""A picture is recognised where its most probable class has more than this."""


@dataclass(frozen=True)
class Classifier:
    """Classifiers of pictures, trained alike from other beginnings and in other orders of the images.

    Attributes:
        networks: from pixels in [0, 1], shape (N, D), to the logits of the classes.
        accuracy: the share of the test images that they classify correctly, a mean over them.
    """

    networks: Sequence[nn.Module]
    accuracy: float

    @torch.inference_mode()
    def probabilities(self, pictures: Tensor) -> Tensor:
        """What each network says of pictures with pixels in [0, 1], shape (N, D): shape (networks, N, classes)."""
        parts = pictures.float().split(1000)
        return torch.stack([torch.cat([network(part).softmax(-1) for part in parts]) for network in self.networks])

    def classes(self, pictures: Tensor) -> Tensor:
        """The most probable class of each picture, shape (networks, N)."""
        return self.probabilities(pictures).argmax(-1)

    def right(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """Whether each picture is taken for its label: 0 or 1, shape (networks, N)."""
        return (self.classes(pictures) == labels).double()

    def recognised(self, pictures: Tensor) -> Tensor:
        """Whether each picture is taken for some class with confidence: 0 or 1, shape (networks, N)."""
        return (self.probabilities(pictures).max(-1).values > CONFIDENT).double()


@torch.inference_mode(False)
@torch.enable_grad()
def train_classifier(train: Images, test: Images, epochs: int = EPOCHS, networks: int = CLASSIFIERS) -> Classifier:
    """Classifiers of images by their labels, the same each time; MNIST takes a few seconds for each.

    Each batch has a half of its images in black and white, since some models draw those and others grey ones.

    Args:
        train: bytes, with labels.
        test: others, for its accuracy.
        epochs: passes over the training images.
        networks: how many.
    """
    trained = [_trained(train, epochs, generator("cpu", "classifier", seed)) for seed in range(networks)]
    return Classifier(trained, float(Classifier(trained, 0.0).right(test.pixels / 255, test.labels).mean()))


def _trained(train: Images, epochs: int, noise: torch.Generator) -> nn.Module:
    size, classes = train.pixels.shape[1], len(train.class_names)
    hidden, output = (skip_init(nn.Linear, *sides) for sides in ((size, HIDDEN), (HIDDEN, classes)))  # no global noise
    network = nn.Sequential(hidden, nn.ReLU(), output)
    for layer in (hidden, output):
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=noise)
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    for _ in range(epochs):
        for index in torch.randperm(len(train), generator=noise).split(BATCH):
            pixels = train.pixels[index]
            x = pixels.float() / 255
            half = len(index) // 2
            x[:half] = (pixels[:half] > 127).float()
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x), train.labels[index]).backward()
            optimizer.step()
    return network.requires_grad_(False)
