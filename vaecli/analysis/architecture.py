"""The layers of a model, layer by layer, before anything is trained."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vaecli import registry
from vaecli.arguments import checked
from vaecli.config import Config
from vaecli.model import skeleton
from vaecli.networks.summary import Layer, layers

HEADINGS = ("layer", "kind", "from", "label", "to", "parameters", "of them from the label")
"""Of the columns of `Architecture.cells`; the last two are numbers."""


@dataclass(frozen=True)
class Architecture:
    """The layers that an image passes.

    Attributes:
        layers: encoder, then decoder.
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
def architecture(config: Config, folder: Path | None = None) -> Architecture:
    """The layers of a model with these settings; takes no memory for their weights.

    Args:
        config: the settings.
        folder: of a person's own pictures, whose labels the model sees.

    Raises:
        DataError: the folder cannot be read.
    """
    labelled = config.labels != "none"
    model = skeleton(config, len(registry.load("dataset", config.dataset).class_names(folder)) if labelled else 0)
    return Architecture(layers(model.encoder, model.decoder, model.image_shape, model.prior.decoded, model.labels))


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
