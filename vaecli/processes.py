"""The processes that share a piece of work, which torchrun started, and what they send each other.

Each has all the data and the same generators, draws the noise of all images in the order of one process, and computes its own
images. Every call of a method that sends is made by all of them, in one order. A process that is alone sends nothing.

Processes on CPUs talk through gloo, GPUs through NCCL. One that waits for another's part of a computation gives up after
TIMEOUT, one that waits while others start, read or write after PATIENCE.
"""

import atexit
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from vaecli import torchrun
from vaecli.errors import ProcessError, TrainingError, UsageError, VaecliError, format_value

TIMEOUT = timedelta(seconds=40)
"""How long a process waits for a step of another."""

PATIENCE = timedelta(hours=1)
"""How long a process waits for another that reads or writes files; one that ends or is killed is noticed at once."""

_WHY = "why"
"""The reason of a process that leaves, in torchrun's store."""

_STORE_SECONDS = 3.0
"""How long to wait for torchrun's store."""

_patient: list[Any] = []
"""The group of all processes that waits for PATIENCE, once they have joined."""


@dataclass(frozen=True)
class Processes:
    """Processes that share a piece of work, as one of them sees them.

    Attributes:
        rank: the process's number, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the first, which alone writes files."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other."""
        return self.size == 1

    def shard(self, count: int) -> slice:
        """This rank's slice of `count` images; sizes differ by at most 1."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def round_robin(self, *, patiently: bool = False) -> Iterator[bool]:
        """Whether the next part of the work is this process's, without end; the processes wait for each other each round.

        Args:
            patiently: a part may take longer than TIMEOUT.
        """
        while True:
            self.sum(torch.zeros(1), patiently=patiently)
            for rank in range(self.size):
                yield rank == self.rank

    def sum(self, tensor: Tensor, *, patiently: bool = False) -> Tensor:
        """The sum of the tensors of all processes, the same bits in each; overwrites `tensor`.

        Args:
            tensor: on the device of the work; on the CPU if `patiently`.
            patiently: wait for others that read or write.
        """
        if not self.alone:
            import torch.distributed as dist

            with _lost_becomes_error(PATIENCE if patiently else TIMEOUT):
                dist.all_reduce(tensor, group=_patient[0] if patiently else None)
        return tensor

    def stack(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, of one shape, by rank: shape (size, ...)."""
        stacked = torch.zeros(self.size, *tensor.shape, dtype=tensor.dtype, device=tensor.device)
        stacked[self.rank] = tensor
        return self.sum(stacked)  # of 0 from the others

    def gather(self, own: Tensor, count: int) -> Tensor:
        """The rows of all processes, shape (count, ...), with their gradient, which the processes add up.

        Args:
            own: this process's `shard` of them; rows after these are left out.
            count: of all.
        """
        gathered: Tensor = own if self.alone else _Gathered.apply(own, count, self)
        return gathered

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Copies the first process's tensors, of one type and device, into those of the others."""
        if not self.alone:
            import torch.distributed as dist

            flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
            with _lost_becomes_error(TIMEOUT):
                dist.broadcast(flat, 0)
            if not self.is_main:
                with torch.no_grad():
                    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
                        tensor.copy_(part.view_as(tensor))

    def barrier(self) -> None:
        """Waits for all others, which may be reading or writing."""
        self.sum(torch.zeros(1), patiently=True)

    def all_gather(self, value: Any) -> list[Any]:
        """The JSON values of all processes, by rank; waits for others that read or write."""
        if self.alone:
            return [value]
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = torch.zeros(self.size, dtype=torch.int64)
        lengths[self.rank] = len(text)
        texts = torch.zeros(self.size, int(self.sum(lengths, patiently=True).max()), dtype=torch.uint8)
        texts[self.rank, : len(text)] = text
        pairs = zip(self.sum(texts, patiently=True), lengths.tolist(), strict=True)
        return [json.loads(row[:length].numpy().tobytes()) for row, length in pairs]

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """A part that all processes end alike: if it fails for one of them, it fails for all.

        Raises:
            VaecliError: its own, or that of the first process that failed.
        """
        failed: VaecliError | None = None
        try:
            yield
        except ProcessError:
            raise
        except VaecliError as error:
            failed = error
        if not self.alone:
            errors = self.all_gather(None if failed is None else _to_json(failed))
            first = next((error for error in errors if error), None)
            if first and failed is None:
                before = f"process {errors.index(first)} on {first['host']}: "
                raise _from_json(first).reworded(UsageError if first["usage"] else VaecliError, before)
        if failed is not None:
            raise failed

    @contextmanager
    def ending_together(self) -> Iterator[None]:
        """A part in which a process that fails takes the others with it: they raise ProcessError with its reason.

        A training that diverges does so in every process, and needs no word to the others.
        """
        try:
            yield
        except TrainingError:
            raise
        except BaseException as error:
            if not self.alone:
                _leave(None if isinstance(error, ProcessError) else error, self.rank)
            raise


class _Gathered(torch.autograd.Function):
    """`Processes.gather`."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, count: int, processes: Processes) -> Tensor:
        shard = processes.shard(count)
        ctx.processes, ctx.shard, ctx.length = processes, shard, len(own)
        rows = own.new_zeros(count, *own.shape[1:])
        rows[shard] = own[: shard.stop - shard.start]
        return processes.sum(rows)  # of 0 from the others

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        own = ctx.processes.sum(gradient.clone())[ctx.shard]
        return torch.cat((own, own.new_zeros(ctx.length - len(own), *own.shape[1:]))), None, None


ALONE = Processes()
"""A process that shares its work with no other."""


def joined(device: torch.device) -> Processes:
    """The processes that torchrun started, which wait here for each other the first time; ALONE without torchrun.

    Args:
        device: the device that this process computes on.

    Raises:
        UsageError: such devices cannot share work, or another launcher than torchrun started several processes.
        ProcessError: another did not come.
    """
    torchrun.check_launcher()
    torchrun.end_with_launcher()
    own_rank = torchrun.rank()
    if own_rank.size == 1:
        return ALONE
    if device.type not in ("cpu", "cuda"):
        raise UsageError(
            f"{{device}} with {own_rank.size} processes: expected {{device=cpu}} or {{device=cuda}}, which can share work",
            device=device,
        )
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    if not dist.is_initialized():
        backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
        try:
            store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
            # torchrun keeps its store when it starts processes again, and the addresses of dead ones in it
            store = dist.PrefixStore(f"vaecli/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)  # type: ignore[attr-defined]
            store.set(f"here/{rank}", "")
            store.wait([f"here/{other}" for other in range(size)], PATIENCE)  # of others that are still reading
            where = None if device.type == "cpu" else device
            dist.init_process_group(backend, timeout=TIMEOUT, store=store, rank=rank, world_size=size, device_id=where)
            _patient[:] = [dist.new_group(backend="gloo", timeout=PATIENCE)]
            atexit.register(_leave, None, rank)  # a process that ends with connections open is often aborted
        except (RuntimeError, ValueError) as error:
            raise ProcessError(
                f"process {own_rank.rank} on {socket.gethostname()}: could not join the {own_rank.size} processes of this run "
                f"({_reason(error, TIMEOUT)}); see whether all of them were started, and can reach each other"
            ) from None
    return Processes(own_rank.rank, own_rank.size)


@contextmanager
def _lost_becomes_error(waited: timedelta) -> Iterator[None]:
    """Turns the failure of a connection, or no answer for so long, into one line."""
    try:
        yield
    except RuntimeError as error:
        why = _why_another_left()
        raise ProcessError(
            why or f"lost another of the {torchrun.rank().size} processes ({_reason(error, waited)}): it ended, or its network did"
        ) from None


def _reason(error: Exception, waited: timedelta) -> str:
    text = str(error).lower()
    if "closed by peer" in text or "reset by peer" in text:
        return "connection closed"
    if "timed out" in text or "timeout" in text:
        return f"no answer for {waited.seconds} s"
    return str(error).splitlines()[0][:100]


def _leave(error: BaseException | None, rank: int) -> None:
    """Closes the connections to the others, so that they notice at once, and leaves them the reason."""
    import torch.distributed as dist

    if not dist.is_initialized():
        return
    if isinstance(error, VaecliError):
        why = f"process {rank} on {socket.gethostname()}: {error}"
        _with_store(lambda store: store.set(_WHY, why))
    with suppress(RuntimeError):
        dist.destroy_process_group()


def _why_another_left() -> str | None:
    found = _with_store(lambda store: store.get(_WHY).decode() if store.check([_WHY]) else None)
    return found if isinstance(found, str) else None


def _with_store(use: Callable[[Any], Any]) -> Any:
    """What `use` makes of torchrun's store; None if it fails, or does not answer because the network is gone."""
    from torch.distributed.distributed_c10d import _get_default_store

    found: list[Any] = []

    def ask() -> None:
        with suppress(RuntimeError, ValueError):
            found.append(use(_get_default_store()))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_STORE_SECONDS)
    return found[0] if found else None


def _to_json(error: VaecliError) -> dict[str, Any]:
    settings = {name: format_value(value) for name, value in error.settings.items()}
    return {"message": error.message, "settings": settings, "usage": isinstance(error, UsageError), "host": socket.gethostname()}


def _from_json(error: dict[str, Any]) -> VaecliError:
    return VaecliError(error["message"], **error["settings"])
