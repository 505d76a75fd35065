"""What a network computes, as a list of operations, written down while it runs once."""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from vaecli.errors import VaecliError


@torch.inference_mode()
def operations(network: nn.Module, values: Tensor, y: Tensor | None) -> list[dict[str, Any]]:
    """The operations of a network, in the order in which it does them.

    Args:
        network: called with the other two.
        values: an image or a latent, shape (1, .).
        y: its label, shape (1, labels), or None.

    Returns:
        Of each its `kind`, for which assets/network.js has a function; the values that it is computed `of`, where 0 is the
        network's input, 1 the label, and k + 2 what operation k gives; its `size`, how many numbers it gives; and the numbers and
        tensors that it needs, of layers the parameter `weight`.

    Raises:
        VaecliError: the page cannot compute one of them.
    """
    recorder = _Recorder(values.clone(), None if y is None else y.clone())
    with recorder:
        output = network(*recorder.inputs)
    last = recorder.known.get(_place(output), 0)
    if last < 2:
        raise _refusal(type(network).__name__)
    return recorder.operations[: last - 1]


class _Recorder(TorchFunctionMode):
    """Writes down what is done with tensors that depend on a network's inputs.

    Attributes:
        known: the value at a place in memory; after a change in place it is another one.
    """

    def __init__(self, *inputs: Tensor | None) -> None:
        super().__init__()
        self.inputs = inputs
        self.held = [tensor for tensor in inputs if tensor is not None]  # so that no place is used again
        self.known = {_place(tensor): value for value, tensor in enumerate(self.held)}
        self.operations: list[dict[str, Any]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [tensor for tensor in _tensors((args, kwargs)) if _place(tensor) in self.known]
        result = func(*args, **kwargs)
        if not given or (func.__name__ in _ASKED and not isinstance(result, Tensor)):
            return result
        if func.__name__ in _RESHAPED and result.numel() == given[0].numel():
            value = self.known[_place(given[0])]
        else:
            self.operations.append(self._described(func, result, args, kwargs))
            value = len(self.operations) + 1
        self.held.append(result)
        self.known[_place(result)] = value
        return result

    def _described(self, func: Any, result: Any, args: Any, kwargs: Any) -> dict[str, Any]:
        refusal = _refusal(resolve_name(func) or func.__name__)
        try:
            describe = _FUNCTIONS[func.__name__.removesuffix("_")]
            arguments = inspect.signature(describe).bind(result, *args, **kwargs)
        except (KeyError, TypeError):
            raise refusal from None
        described = describe(*arguments.args, **arguments.kwargs)
        if described is None or not all(_place(value) in self.known for value in described["of"]):
            raise refusal
        return described | {"of": [self.known[_place(value)] for value in described["of"]], "size": result.numel()}


def _refusal(name: str) -> VaecliError:
    return VaecliError(
        f"the page cannot compute {name} as the network uses it; expected dense layers, convolutions, group and layer norms, ReLU, "
        "SiLU, sigmoid, tanh, sums and nearest-neighbour interpolation, such as {arch=resnet}"
    )


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _tensors(given: Any) -> Iterator[Tensor]:
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, list | tuple | dict):
        for part in given.values() if isinstance(given, dict) else given:
            yield from _tensors(part)


_ASKED = {"__get__", "__len__", "size", "dim", "numel"}
"""How a network asks for a tensor's shape and the like, but for none of its values."""

_RESHAPED = {"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "expand", "contiguous", "to", "clone"}
"""Functions whose results are the same numbers in the same order, where they are as many."""


def _linear(result: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> dict[str, Any] | None:
    if not isinstance(weight, nn.Parameter) or input.numel() != weight.shape[1]:
        return None
    return {"kind": "dense", "of": (input,), "inputs": weight.shape[1], "weight": weight, "bias": _given(bias, len(weight), 0)}


def _conv2d(
    result: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> dict[str, Any] | None:  # fmt: skip
    sizes = {"kernel": tuple(weight.shape[2:]), "stride": stride, "padding": padding, "dilation": dilation}
    sides = {name: {size} if isinstance(size, int) else set(size) for name, size in sizes.items()}
    shapes = {"input": list(input.shape[-3:]), "output": list(result.shape[-3:])}
    square = all(len(side) == 1 for side in sides.values()) and sides.pop("dilation") == {1} and groups == 1
    if not square or not isinstance(weight, nn.Parameter) or input.numel() != math.prod(shapes["input"]):
        return None
    alike = {name: side.pop() for name, side in sides.items()}
    bias = _given(bias, shapes["output"][0], 0)
    return {"kind": "convolution", "of": (input,), **alike, **shapes, "weight": weight, "bias": bias}


def _conv_transpose2d(
    result: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> dict[str, Any] | None:  # fmt: skip
    described = _conv2d(result, input, weight, bias, stride, padding, dilation, groups)
    return described and described | {"kind": "transposed"}


def _group_norm(
    result: Tensor, input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> dict[str, Any] | None:
    images, channels = input.shape[:2]
    scaled = {"scale": _given(weight, channels, 1), "bias": _given(bias, channels, 0)}
    return {"kind": "norm", "of": (input,), "groups": num_groups, "eps": eps, **scaled} if images == 1 else None


def _layer_norm(
    result: Tensor, input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> dict[str, Any] | None:  # fmt: skip
    size = input.numel()
    scaled = {"scale": _given(weight, size, 1), "bias": _given(bias, size, 0)}
    return {"kind": "norm", "of": (input,), "groups": 1, "eps": eps, **scaled} if math.prod(normalized_shape) == size else None


def _interpolate(
    result: Tensor, input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> dict[str, Any] | None:  # fmt: skip
    if not mode.startswith("nearest") or input.ndim != 4:
        return None
    height, width = input.shape[2:]
    places = torch.arange(float(height * width)).view(1, 1, height, width)
    taken = F.interpolate(places, size, scale_factor, mode, recompute_scale_factor=recompute_scale_factor)[0, 0].long()
    rows, columns = (taken[:, 0] // width).tolist(), (taken[0] % width).tolist()
    return {"kind": "resize", "of": (input,), "side": [height, width], "rows": rows, "columns": columns}


def _add(result: Tensor, input: Any, other: Any, *, alpha: float = 1) -> dict[str, Any] | None:
    sizes = {part.numel() if isinstance(part, Tensor) else None for part in (input, other)}
    return {"kind": "add", "of": (input, other)} if sizes == {result.numel()} and alpha == 1 else None


def _cat(result: Tensor, tensors: Sequence[Tensor], dim: int = 0) -> dict[str, Any] | None:
    return {"kind": "join", "of": tensors} if math.prod(result.shape[: dim % result.ndim]) == 1 else None


def _activation(kind: str) -> Callable[..., dict[str, Any]]:
    def describe(result: Tensor, input: Tensor, inplace: bool = False) -> dict[str, Any]:
        return {"kind": kind, "of": (input,)}

    return describe


def _given(tensor: Tensor | None, size: int, otherwise: float) -> Tensor:
    return torch.full((size,), otherwise) if tensor is None else tensor.flatten()


_FUNCTIONS: dict[str, Callable[..., dict[str, Any] | None]] = {
    "linear": _linear, "conv2d": _conv2d, "conv_transpose2d": _conv_transpose2d, "group_norm": _group_norm,
    "layer_norm": _layer_norm, "interpolate": _interpolate, "add": _add, "cat": _cat,
    **{name: _activation(name) for name in ("relu", "silu", "sigmoid", "tanh")},
}  # fmt: skip
"""By the name of PyTorch's function: what describes a call of it by result and arguments; None where the page cannot compute it."""
