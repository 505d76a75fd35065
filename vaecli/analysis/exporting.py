"""The networks of a run as files that other programs run without vaecli: ONNX, or PyTorch's exported programs."""

import io
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from vaecli.arguments import PathLike, checked
from vaecli.data.images import UNKNOWN
from vaecli.distributions.normal import DiagonalNormal
from vaecli.errors import VaecliError
from vaecli.files import make_folder, write_file
from vaecli.model import VAE
from vaecli.runs.run import Run
from vaecli.seeding import generator

ALLOWED = 1e-5
"""The largest difference from the model: of values from -1 to 1 absolute, of others relative."""

Format = Literal["onnx", "torch"]
_SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
_NAMES = ("encoder", "decoder")
_TRACED, _TRIED = 2, (1, 5)
"""Inputs that a program is made with, and that it is tried with."""


@dataclass(frozen=True)
class Exported:
    """Files of a run's networks.

    Attributes:
        files: ``encoder`` and ``decoder``, in this order.
        difference: the largest of what they give from what the model gives, on random inputs; at most ALLOWED.
    """

    files: tuple[Path, ...]
    difference: float


class _Encoder(nn.Module):
    """Images x, shape (B, channels, height, width), and labels y to loc and log_scale, or to what another posterior is made of."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.network, self.posterior = model.encoder, model.posterior_of

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        h: Tensor = self.network(x.flatten(1), y)
        q: DiagonalNormal | Any = self.posterior(h, y)
        return (q.loc, q.log_scale) if isinstance(q, DiagonalNormal) else h


class _Decoder(nn.Module):
    """Latents z, shape (B, latent_dim), and labels y to the means of the pixels, shape (B, channels, height, width)."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        shape = model.image_shape
        self.network, self.likelihood, self.decoded = model.decoder, model.pixel_likelihood, model.prior.decoded
        self.sides = (shape.channels, shape.height, shape.width)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        pixels: Tensor = self.likelihood(self.network(z[..., : self.decoded], y)).mean.unflatten(-1, self.sides)
        return pixels


Inputs = tuple[Tensor, ...]
Ran = Callable[[Inputs], Sequence[Tensor]]
"""What a file gives of inputs."""


@checked
@torch.no_grad()
def export(run: Run, folder: PathLike | None = None, to: Format = "onnx") -> Exported:
    """Writes the encoder and the decoder of a run as two files, after they were tried on random inputs.

    Their inputs are float32, any number B of them:

    - encoder: ``x``, images of shape (B, channels, height, width), on the scale that `VAE.observe` gives. It gives ``loc`` and
      ``log_scale``, shape (B, latent_dim), or ``features``, what a posterior is made of that is no Gaussian of independent latents.
    - decoder: ``z``, shape (B, latent_dim). It gives ``pixels``, their means, shape (B, channels, height, width).
    - both, of a conditional model: ``y``, shape (B, labels), one-hot, zeros where a label is not known.

    The settings and the names of labels are in each file, as JSON: ``vaecli`` in the metadata of ONNX, ``vaecli.json`` among the
    extra files of PyTorch.

    Args:
        run: with its model on any device.
        folder: made if there is none; the run's own if not given.
        to: ``onnx`` (``encoder.onnx``), which takes ``vaecli[onnx]``, or ``torch`` (``encoder.pt2``), for `torch.export.load`.

    Raises:
        VaecliError: a network cannot be exported, differs by more than ALLOWED or cannot be written, or a package is missing.

    Example:
        >>> import torch
        >>> exported = vaecli.export(vaecli.load("baseline"), "exported", to="torch")
        >>> encoder = torch.export.load(exported.files[0]).module()
        >>> loc, log_scale = encoder(torch.zeros(3, 1, 28, 28))
        >>> loc.shape
        torch.Size([3, 2])
    """
    about = json.dumps({"settings": run.config.to_json(), "class_names": run.class_names})
    model = deepcopy(run.model).to("cpu").eval().requires_grad_(False)
    networks, traced, tried = (_Encoder(model), _Decoder(model)), _inputs(model, _TRACED), [_inputs(model, n) for n in _TRIED]
    made, difference = list[bytes](), 0.0
    for which, (name, network) in enumerate(zip(_NAMES, networks, strict=True)):
        expected = [_parts(network(*inputs[which])) for inputs in tried]
        data, ran = (_onnx if to == "onnx" else _torch)(name, network, traced[which], about)
        for inputs, parts in zip(tried, expected, strict=True):
            differs = max(map(_difference, ran(inputs[which]), parts))
            if not differs <= ALLOWED:
                raise VaecliError(f"the exported {name} differs from the model by {differs:.1e}, expected {ALLOWED:g} at most")
            difference = max(difference, differs)
        made.append(data)
    place = run.path if folder is None else Path(folder)
    make_folder(place)
    files = tuple(place / f"{name}{_SUFFIXES[to]}" for name in _NAMES)
    for file, data in zip(files, made, strict=True):
        write_file(file, data)
    return Exported(files, difference)


def _inputs(model: VAE, count: int) -> tuple[Inputs, Inputs]:
    """Random inputs of the encoder and of the decoder."""
    noise, shape = generator("cpu", "export", count), model.image_shape
    pixels = torch.randint(256, (count, shape.size), dtype=torch.uint8, generator=noise)
    x = model.observe(pixels, noise).view(count, shape.channels, shape.height, shape.width)
    y = model.condition(torch.randint(UNKNOWN, max(1, model.labels), (count,), generator=noise))
    labels = () if y is None else (y,)
    return (x, *labels), (model.prior.sample(count, noise), *labels)


def _program(name: str, network: nn.Module, inputs: Inputs) -> ExportedProgram:
    batch = Dim("batch")
    try:
        return torch.export.export(network, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs))
    except Exception as error:  # torch raises many kinds
        raise VaecliError(
            f"the {name} cannot be exported ({_first_line(error)}); expected a network that torch.export takes"
        ) from error


def _torch(name: str, network: nn.Module, inputs: Inputs, about: str) -> tuple[bytes, Ran]:
    file = io.BytesIO()
    torch.export.save(_program(name, network, inputs), file, extra_files={"vaecli.json": about})
    data = file.getvalue()
    loaded = torch.export.load(io.BytesIO(data)).module()
    return data, lambda inputs: _parts(loaded(*inputs))


def _onnx(name: str, network: nn.Module, inputs: Inputs, about: str) -> tuple[bytes, Ran]:
    runtime = [_package(package) for package in ("onnx", "onnxscript", "onnxruntime")][-1]
    outputs = ["pixels"] if name == "decoder" else ["loc", "log_scale"] if len(_parts(network(*inputs))) > 1 else ["features"]
    try:
        made: Any = torch.onnx.export(
            _program(name, network, inputs), dynamo=True, verbose=False, output_names=outputs,
            dynamic_shapes=({0: "batch"}, *({0: None} for _ in inputs[1:])),  # they share the size
        )  # fmt: skip
    except torch.onnx.errors.OnnxExporterError as error:
        raise VaecliError(f"the {name} cannot be exported ({_first_line(error)}); expected layers that ONNX has") from error
    proto = made.model_proto
    proto.metadata_props.add(key="vaecli", value=about)
    data: bytes = proto.SerializeToString()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def ran(inputs: Inputs) -> Sequence[Tensor]:
        found = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
        return [torch.from_numpy(part) for part in found]

    return data, ran


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise VaecliError(f"found no {name}, which {{to=onnx}} needs; install it with: pip install 'vaecli[onnx]'") from None


def _parts(outputs: Any) -> Sequence[Tensor]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference: of values from -1 to 1 absolute, of others relative."""
    return float(((found - expected).abs() / expected.abs().clamp(min=1)).max())


def _first_line(error: Exception) -> str:
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    return line.translate({ord("{"): "(", ord("}"): ")"})[:200]
