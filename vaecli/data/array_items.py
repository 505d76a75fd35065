"""Arrays of what a caller in Python has: arrays and tensors, torch's data sets, lists of pictures, and images of vaecli's own."""

import numbers
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from vaecli.arguments import kind, wrong
from vaecli.data.array import LAYOUTS, Array, Arrays, Part
from vaecli.data.crop import values_of
from vaecli.data.images import UNKNOWN, Images
from vaecli.errors import DataError, UsageError

EXPECTED = f"expected an array or tensor {LAYOUTS}, or a torch Dataset"

IMAGE_NAMES = ("images", "image", "imgs", "img", "x", "data", "pixels", "pixel_values", "arr_0")
LABEL_NAMES = ("labels", "label", "y", "targets", "target", "arr_1")
"""What arrays, columns and keys of images and of their labels are called, in any case."""


def given_arrays(images: Any, labels: Any = None, test_images: Any = None, test_labels: Any = None) -> Arrays:
    """The arrays of the arguments of `vaecli.train`.

    Args:
        images: one of LAYOUTS, as an array or tensor; a torch ``Dataset`` or a list, whose items are images or pairs of an image
            and a label, each an array, a tensor or a picture of Pillow's; or `Images`.
        labels: of the images, whole numbers from 0 (-1 where not known) or words, where `images` has none of its own.
        test_images: as `images`; if not given, one image in ten is in the test set.
        test_labels: of these.

    Raises:
        UsageError: they are none of these.
        DataError: items differ in size or type.
    """
    for name, value, needed, beside in (("test_images", test_images, "images", images), ("labels", labels, "images", images),
                                        ("test_labels", test_labels, "test_images", test_images)):  # fmt: skip
        if value is not None and beside is None:
            raise UsageError(f"{{{name}=}} without {{{needed}=}}: expected both")
    train = _given("images", images, "labels", labels)
    test = None if test_images is None else _given("test_images", test_images, "test_labels", test_labels)
    names = train.class_names or (test.class_names if test else ())
    return Arrays(Path("images"), train.part, test.part if test else None, class_names=names)


class _Given(NamedTuple):
    part: Part
    class_names: tuple[str, ...]


def _given(name: str, images: Any, labels_name: str, labels: Any) -> _Given:
    own: Array | None = None
    names = class_names_of(images)
    if isinstance(images, Images):
        shape = images.shape
        values = images.pixels.cpu().numpy().reshape(-1, shape.channels, shape.height, shape.width)
        own, names = (images.labels.cpu().numpy(), images.class_names) if images.class_names else (None, ())
    elif _is_array(images):
        values = _as_array(images)
    elif isinstance(images, str | Mapping) or not (hasattr(images, "__len__") and hasattr(images, "__getitem__")):
        raise UsageError(f"{{{name}=}}: found {kind(images)}, {EXPECTED}")
    else:
        values, own = stacked(images, name)
    if labels is not None and own is not None:
        raise UsageError(f"{{{labels_name}=}} with {{{name}=}} that have labels of their own: expected only one of them")
    return _Given(Part(values, own if labels is None else _as_labels(labels_name, labels), name), names)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | Tensor) or (hasattr(value, "__array__") and hasattr(value, "shape"))


def _as_array(value: Any) -> Array:
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        try:
            return np.asarray(value)
        except TypeError:  # bfloat16, of which NumPy knows nothing
            value = value.float()
    return np.asarray(value)


def _as_labels(name: str, labels: Any) -> Array:
    try:
        array = _as_array(labels)
    except ValueError:  # of lists of different lengths
        array = np.empty(0, object)
    if array.ndim == 0 or array.dtype.kind not in "iuUSO" or not len(array):
        raise wrong(name, labels, "expected whole numbers from 0, -1 where a label is not known, or words, one for each image")
    return array


def class_names_of(images: Any) -> tuple[str, ...]:
    """The names of the labels of a torch Dataset, which it has as ``classes``; empty where it has none."""
    classes = getattr(images, "classes", ())
    named = isinstance(classes, list | tuple) and all(isinstance(name, str) for name in classes)
    return tuple(classes) if named else ()


def stacked(items: Any, name: str) -> tuple[Array, Array | None]:
    """The images, and the labels if they have any, of a sequence of items, each read once; `name` stands before its mistakes.

    Raises:
        DataError: an item is no image, or not like the first.
    """
    count = len(items)
    if not count:
        raise DataError(f"{name}: found no image, expected at least one")
    values: Array | None = None
    labels: list[Any] = []
    for index in range(count):
        where = f"{name}: item {index}"
        image, label = _pair(items[index], where)
        array = _as_image(image, where)
        if values is None:
            values = np.empty((count, *array.shape), array.dtype)
        if array.shape != values.shape[1:] or array.dtype != values.dtype:
            raise DataError(
                f"{where}: found {array.dtype} of shape {array.shape}, expected {values.dtype} of shape {values.shape[1:]}, as "
                "item 0 has: cut or scale them to one size, such as with a transform of the Dataset"
            )
        values[index] = array
        labels.append(label)
    assert values is not None
    return values[:, None] if values.ndim == 3 else values, _label_array(labels, name)


def _pair(item: Any, where: str) -> tuple[Any, Any]:
    """The image and the label of an item, None where it has none."""
    if isinstance(item, Mapping):
        found = [next((item[key] for key in item if str(key).casefold() in names), None) for names in (IMAGE_NAMES, LABEL_NAMES)]
        return found[0], found[1]
    if isinstance(item, list | tuple):
        if not 1 <= len(item) <= 2:
            raise DataError(f"{where}: found {len(item)} values, expected an image, or an image and its label")
        return item[0], item[1] if len(item) > 1 else None
    return item, None


def _as_image(image: Any, where: str) -> Array:
    if isinstance(image, Image.Image):
        return values_of(image)
    if not _is_array(image):
        raise DataError(f"{where}: found {kind(image)}, expected an image: an array, a tensor or a picture of Pillow's")
    return _as_array(image)


def _label_array(labels: list[Any], name: str) -> Array | None:
    plain = [label.item() if hasattr(label, "item") and getattr(label, "size", None) != 0 else label for label in labels]
    if all(label is None for label in plain):
        return None
    if all(label is None or isinstance(label, str) for label in plain):
        return np.array([label or "" for label in plain])
    if all(label is None or (isinstance(label, numbers.Integral) and not isinstance(label, bool)) for label in plain):
        return np.array([UNKNOWN if label is None else int(label) for label in plain])
    odd = next(label for label in plain if label is not None and not isinstance(label, str | numbers.Integral))
    raise DataError(f"{name}: found a label that is {kind(odd)}, expected whole numbers from 0 or words")
