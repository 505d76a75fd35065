"""The layers of a model before anything is trained, found by passing no image through them: their weights take no memory."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vaecli import registry
from vaecli.arguments import checked
from vaecli.config import Config
from vaecli.data.load import Source
from vaecli.image_shape import ImageShape
from vaecli.model import skeleton

HEADINGS = ("layer", "kind", "from", "label", "to", "parameters", "of them from the label")
"""Of the columns of `Architecture.cells`; the last two are numbers."""


@dataclass(frozen=True)
class Layer:
    """One layer of a network, or a prior or posterior with parameters of its own.

    Attributes:
        network: ``encoder`` or ``decoder``; or ``prior`` or ``posterior``.
        name: the layer's name in the checkpoint.
        kind: the layer's class, such as ``Linear``.
        inputs: the input shape of one image, without the label.
        labels: how many of its inputs are the label.
        outputs: the output shape of one image.
        parameters: weights and biases.
        label_parameters: how many of these multiply the label.
    """

    network: str
    name: str
    kind: str
    inputs: tuple[int, ...]
    labels: int
    outputs: tuple[int, ...]
    parameters: int
    label_parameters: int


@dataclass(frozen=True)
class NetworkSummary:
    """The layers that an image passes.

    Attributes:
        layers: encoder, then decoder, then prior and posterior where they have parameters.
    """

    layers: list[Layer]

    @property
    def parameters(self) -> int:
        """Weights and biases of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def label_parameters(self) -> int:
        """Those of them that multiply the label."""
        return sum(layer.label_parameters for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/json.md lists them."""
        return {"layers": [asdict(layer) for layer in self.layers], "parameters": self.parameters}

    def cells(self) -> list[tuple[str, ...]]:
        """A table as text: under HEADINGS a row for each layer, and one for all."""
        rows = [
            (
                layer.name, layer.kind, _by(layer.inputs), f"+ {layer.labels}" if layer.labels else "", _by(layer.outputs),
                f"{layer.parameters:,}", f"{layer.label_parameters:,}" if layer.labels else "",
            )
            for layer in self.layers
        ]  # fmt: skip
        by_label = f"{self.label_parameters:,}" if self.label_parameters else ""
        return [*rows, ("all", "", "", "", "", f"{self.parameters:,}", by_label)]


@checked
def architecture(config: Config, folder: Path | None = None) -> NetworkSummary:
    """The layers of a model with these settings; takes no memory for their weights.

    Args:
        config: the settings.
        folder: of a person's own pictures, whose labels the model sees; or a file of arrays, whose shape the images have.

    Raises:
        DataError: the folder cannot be read.
    """
    if not config.has_shape:
        config = Source(config, folder).settled()
    labelled = config.labels != "none"
    model = skeleton(config, len(registry.load("dataset", config.dataset).class_names(folder)) if labelled else 0)
    layers = _layers(model.encoder, model.decoder, model.image_shape, model.prior.decoded, model.labels)
    parts = (("prior", model.prior, ()), ("posterior", model.posterior_of, (model.posterior_of.features,)))
    for name, part, inputs in parts:
        if count := sum(parameter.numel() for parameter in part.parameters()):
            layers.append(Layer(name, name, type(part).__name__, inputs, 0, (model.latent_dim,), count, 0))
    return NetworkSummary(layers)


def _layers(encoder: nn.Module, decoder: nn.Module, shape: ImageShape, latent_dim: int, labels: int) -> list[Layer]:
    """The layers of the encoder and of the decoder, in the order of the forward pass.

    Args:
        encoder: on the meta device; afterwards on the CPU, without weights.
        decoder: likewise.
        shape: of the images.
        latent_dim: size of the latent space.
        labels: entries of y that they see.
    """
    networks = {"encoder": encoder, "decoder": decoder}
    rows: list[Layer] = []

    def watch(network: str, name: str, layer: nn.Module) -> None:
        def passed(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            labels = getattr(module, "labels", 0)
            count = sum(parameter.numel() for parameter in module.parameters(recurse=False))
            shape = tuple(inputs[0].shape[1:])
            rows.append(
                Layer(
                    network,
                    f"{network}.{name}",
                    _kind(module),
                    shape,
                    labels,
                    tuple(output.shape[1:]),
                    count,
                    labels * output.shape[1],
                )
            )

        layer.register_forward_hook(passed)

    for network, module in networks.items():
        for name, layer in module.named_modules():
            if next(layer.parameters(recurse=False), None) is not None:
                watch(network, name, layer)
    for module in networks.values():
        # the first computation on the meta device imports PyTorch's compiler, which takes a second
        module.load_state_dict(
            {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in module.state_dict().items()},
            assign=True,
        )
        module.eval()
    y = torch.empty(0, labels) if labels else None
    encoder(torch.empty(0, shape.size), y)
    decoder(torch.empty(0, latent_dim), y)
    return rows


def _kind(layer: nn.Module) -> str:
    return "Linear" if isinstance(layer, nn.Linear) else type(layer).__name__


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
