"""A training step recorded as a CUDA graph, so that a GPU does not wait for Python between its kernels."""

from collections.abc import Callable

import torch
from torch import Tensor

from vaecli.training.step import Step

WARM_UP = 3
"""Batches trained on before the recording, while libraries choose and load their kernels."""


class RecordedStep:
    """A step that is recorded at one of the first full batches and replayed from then on.

    Batches of another size go through the step itself, and so do all batches if recording fails, which is said. The noise must
    always come from the same generator, which may be reseeded between batches.

    Steps that several processes share are not recorded: their sums go through NCCL, and what a graph would save is little beside
    waiting for the others.

    Args:
        step: the step; it should not make Python wait for the device.
        batch_size: images of a full batch.
        note: called with a sentence if recording fails.
    """

    def __init__(self, step: Step, batch_size: int, note: Callable[[str], None] = lambda text: None) -> None:
        self._step = step
        self._batch_size = batch_size
        self._note = note
        self._full = 0
        self._index: Tensor | None = None
        self._replay: Callable[[], Tensor] = lambda: torch.empty(0)

    def __call__(self, index: Tensor, noise: torch.Generator) -> Tensor:
        """The step's sums, shape (3,); the next call may overwrite them."""
        if len(index) != self._batch_size:
            return self._step(index, noise)
        self._full += 1
        if self._full <= WARM_UP:
            return self._on_side_stream(index, noise)
        if self._full == WARM_UP + 1:
            recorded = index.clone()
            try:
                self._replay, self._index = self._record(recorded, noise), recorded
            except RuntimeError as error:
                self._index = None
                first, *_ = str(error).splitlines() or [type(error).__name__]
                self._note(f"The step cannot be recorded as a CUDA graph, and so takes longer: {first}")
        if self._index is None:
            return self._step(index, noise)
        self._index.copy_(index)
        return self._replay()

    def _on_side_stream(self, index: Tensor, noise: torch.Generator) -> Tensor:
        """The step on a stream of its own, as it will be recorded."""
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            sums = self._step(index, noise)
        current.wait_stream(side)
        return sums

    def _record(self, index: Tensor, noise: torch.Generator) -> Callable[[], Tensor]:
        """A function that trains on the images that `index` numbers when it is called; nothing is computed yet."""
        graph = torch.cuda.CUDAGraph()
        if hasattr(graph, "register_generator_state"):  # later versions of PyTorch see by themselves which generators are used
            graph.register_generator_state(noise)
        with torch.cuda.graph(graph):
            sums = self._step(index, noise)

        def replay() -> Tensor:
            graph.replay()
            return sums

        return replay
