"""A small classifier, trained on the spot, that says which class a picture shows: the eye of the verdicts.

It is no part of any model that it judges, and sees training images alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from vaecli.data import Images
from vaecli.seeding import generator

HIDDEN, BATCH, EPOCHS, LEARNING_RATE = 256, 200, 5, 1e-3

CONFIDENT = 0.9
"""A picture is recognised where its most probable class has more than this."""


@dataclass(frozen=True)
class Classifier:
    """A classifier of pictures.

    Attributes:
        network: from pixels in [0, 1], shape (N, D), to the logits of the classes.
        accuracy: the share of the test images that it classifies correctly.
    """

    network: nn.Module
    accuracy: float

    @torch.inference_mode()
    def probabilities(self, pictures: Tensor) -> Tensor:
        """The probabilities of the classes, shape (N, classes), of pictures with pixels in [0, 1], shape (N, D)."""
        return torch.cat([self.network(part).softmax(-1) for part in pictures.float().split(1000)])

    def classes(self, pictures: Tensor) -> Tensor:
        """The most probable class of each picture, shape (N,)."""
        return self.probabilities(pictures).argmax(-1)

    def right(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """Whether each picture is taken for its label: 0 or 1, shape (N,)."""
        return (self.classes(pictures) == labels).double()

    def recognised(self, pictures: Tensor) -> Tensor:
        """Whether each picture is taken for some class with confidence: 0 or 1, shape (N,)."""
        return (self.probabilities(pictures).max(-1).values > CONFIDENT).double()


@torch.inference_mode(False)
@torch.enable_grad()
def train_classifier(train: Images, test: Images, epochs: int = EPOCHS) -> Classifier:
    """A classifier of images by their labels, the same each time; MNIST takes a few seconds.

    Each batch has a half of its images in black and white, since some models draw those and others grey ones.

    Args:
        train: bytes, with labels.
        test: others, for its accuracy.
        epochs: passes over the training images.
    """
    noise = generator("cpu", "classifier")
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
    trained = Classifier(network.requires_grad_(False), 0.0)
    return Classifier(network, float(trained.right(test.pixels / 255, test.labels).mean()))
