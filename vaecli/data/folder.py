"""A person's own pictures: every one below a folder or in tar shards, of any size, with the names of its sub-folders as labels."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from vaecli.data.crop import Cropped, read_cropped
from vaecli.data.dataset import ReadListener, Request
from vaecli.data.images import UNKNOWN, Images, Reading
from vaecli.data.picture import KINDS, Prepared, checked_picture, looks_like_bytes, without_warnings
from vaecli.data.prepared import Counts, Pictures, Rows, Store, alone, key_of, new_rows, not_kept, place_of
from vaecli.data.shards import expand, tars_below, tree_of
from vaecli.data.tree import TEST, TRAIN, VALIDATION, Parts, Tree, escape_controls, find_pictures, path_hash, split_pictures
from vaecli.data.values import BYTE_RANGE, Extent, extent, settle
from vaecli.errors import DataError, UsageError, printable
from vaecli.image_shape import ImageShape
from vaecli.memory import SHARE, machine_memory
from vaecli.reading import Slice, is_folder
from vaecli.threads import processors

MOST_NOTES = 10
"""How many pictures that cannot be read have a note of their own."""

_WORKERS = 8
"""The most pictures that are unpacked at a time."""

_INTERVAL = 32
_KINDS = f"{', '.join(KINDS[:-1])} or {KINDS[-1]} files"
_T = TypeVar("_T")


@dataclass(frozen=True)
class PictureFolder:
    """The data set of a person's own pictures.

    Sub-folders for training and for testing or validation, in any usual spelling, are the splits; otherwise one picture in ten is
    in the test set. Other sub-folders are labels: the first below the folder or below those of the splits. Pictures beside those
    have no label.
    """

    digests: Mapping[str, str] = field(default_factory=dict)

    def class_names(self, folder: Path | None = None) -> tuple[str, ...]:
        """As `Dataset.class_names`; no picture is opened for it."""
        return _found(folder)[0].class_names

    def read(self, request: Request, listen: ReadListener) -> Images:
        """As `Dataset.read`; the pictures are in the order of a hash of their paths, so that the first few are of all labels.

        What is unusual about the folder as a whole is noted when its training set is read.

        Raises:
            DataError: there are none that can be read, or they take too much memory.
            UsageError: fewer are kept for validation than the request asks for.
        """
        shape = request.shape
        tree, place = _found(request.folder, shape, listen.note)
        if not tree.pictures:
            give = "give the folder of pictures with {data_dir=DIR}"
            raise DataError(f"{tree.folder}: found {_others(tree)}, expected {_KINDS}; {give}")
        class_names = tree.class_names
        with without_warnings(), listen.silence():
            splits = _Splits(tree)
            store = Store(place, tree, shape) if place else None
            read, kept_in = _kept(store, splits, request, listen) if store else (_read(splits, request, listen)[0], None)
        if not read.kept:
            raise DataError(f"{tree.folder}: {_nothing(splits.folders(request.split), read.failures)}")
        for text in read.failures[:MOST_NOTES]:
            listen.note(text)
        if read.failures:
            count = len(read.kept) + len(read.failures)
            text = (
                f"left out, as they cannot be read: {len(read.failures):,} of the {count:,} pictures of the {request.split} split"
            )
            listen.note(printable(f"{tree.folder}: {text}"))
        for text in _remarks(tree) if request.split == TRAIN else ():
            listen.note(printable(f"{tree.folder}: {text}"))
        if request.only is not None and len(read.kept) <= len(request.only):
            text = f"of the {request.split} split only the pictures that are needed are read, and compared with the run's"
            listen.note(printable(f"{tree.folder}: {text}"))
        own = tree.labels(read.kept)
        labels = torch.tensor(own, dtype=torch.int64)
        cut, scaled, pages, outside, ranged, flat = read.counts
        reading = Reading(
            tree.folder, splits.folders(request.split), len(read.failures), cut, scaled, pages, outside, read.pixel_range, ranged,
            tuple(map(escape_controls, flat)), kept_in=kept_in,
        )  # fmt: skip
        if request.split == TRAIN:
            reading = replace(reading, unused=0 if request.validation else len(tree.of(VALIDATION)))
        else:
            missing = [number for number, name in enumerate(class_names) if name in read.untrained]
            reading = replace(reading, untrained=tuple((class_names[it], int((labels == it).sum())) for it in missing))
            if request.conditional:
                labels[torch.isin(labels, torch.tensor(missing, dtype=torch.int64))] = UNKNOWN
        images = Images(read.pixels, labels, class_names, shape, tuple(map(escape_controls, read.kept)), reading)
        if read.digest and labels.tolist() == own:
            images.know_digest(read.digest)
        return images

    def picture(self, path: Path, shape: ImageShape, pixel_range: tuple[float, float] | None) -> Prepared:
        """As `Dataset.picture`; a range of bytes does not hold for a picture of more levels, which then has its own."""
        with without_warnings():
            cropped = read_cropped(path, shape, None if pixel_range == BYTE_RANGE else pixel_range)
        return Prepared(cropped.tensor, cropped.remarks(shape))


FOLDER = PictureFolder()


@dataclass(frozen=True)
class _Splits:
    """The pictures of a folder by split, in the order of a hash of their paths; asked for inside `without_warnings`."""

    tree: Tree

    @cached_property
    def _parts(self) -> Parts:
        if self.tree.has_test:
            return Parts(*(_by_hash(self.tree.of(split)) for split in (TRAIN, TEST)))
        parts = split_pictures(self.tree.inside, lambda name: _is_readable(self.tree.place(name)))
        return Parts(*map(_by_hash, parts))

    @property
    def train(self) -> list[str]:
        return self._parts.train

    @cached_property
    def validation(self) -> list[str]:
        return _by_hash(self.tree.of(VALIDATION))

    def ordered(self, split: str) -> list[str]:
        return self._parts.train if split == TRAIN else self._parts.test

    def folders(self, split: str) -> tuple[str, ...]:
        """The sub-folders that hold a split."""
        if self.tree.layout is None or (split == TEST and not self.tree.has_test):
            return ()
        return self.tree.layout.names(split) or self.tree.layout.names(VALIDATION)

    def wanted(self, request: Request) -> list[str]:
        """The pictures that a request reads, if all can be read."""
        if request.only is not None:
            paths = {escape_controls(name): name for name in self.tree.inside}
            return [paths[name] for name in request.only if name in paths]
        held = self._held(request)
        aside = set(held)
        return [*islice((name for name in self.ordered(request.split) if name not in aside), request.limit), *held]

    def _held(self, request: Request) -> list[str]:
        if not request.validation or request.split != TRAIN:
            return []
        return self.validation[: request.validation] if self.validation else self.train[-request.validation :]


def _found(
    path: Path | None, shape: ImageShape | None = None, note: Callable[[str], None] = lambda text: None
) -> tuple[Tree, Path | None]:
    """The pictures below a folder or in shards, and where they are kept in a shape, if they can be."""

    def place(source: Path) -> Path | None:
        return None if shape is None else place_of(source, shape, note)

    shards = expand(path) if path and not is_folder(path) else ()
    if not shards:
        tree = find_pictures(path)
        if tree.pictures or not (shards := tars_below(tree.folder)):
            return tree, place(tree.folder)
    assert path
    kept = place(path)
    return tree_of(path, shards, kept, note), kept


def _by_hash(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (path_hash(name), name))


def _is_readable(path: Path | Slice) -> bool:
    try:
        with checked_picture(path, (8, 8)) as picture:
            picture.load()
    except DataError:
        return False
    return True


class _Taken(NamedTuple):
    """Pictures as they are taken one by one.

    Attributes:
        pixels: shape (N, D); of those that are written to a file, none.
        kept: their paths.
        cropped: what became of each.
        failures: why others cannot be read.
        tried: the paths that were tried.
    """

    pixels: Tensor
    kept: list[str]
    cropped: list[Cropped]
    failures: list[str]
    tried: set[str]


def _kept(store: Store, splits: _Splits, request: Request, listen: ReadListener) -> tuple[Pictures, Path | None]:
    """The pictures of a request as they were prepared before, or are prepared now and kept; and where, if now."""

    def key(pixel_range: tuple[float, float] | None) -> str:
        validation = request.validation if request.split == TRAIN else None
        return key_of(split=request.split, pixel_range=pixel_range, limit=request.limit, validation=validation)

    if found := store.find(key(request.pixel_range)):
        return found, None
    if request.only is not None:
        if not _is_almost_kept(store, splits, request):
            return _read(splits, request, listen, store)[0], None
        request = replace(request, only=None)
    try:
        with alone(store.place):
            if found := store.find(key(request.pixel_range)):  # which another process prepared meanwhile
                return found, None
            rows = new_rows(store, len(splits.wanted(request)))
            try:
                read, cropped = _read(splits, request, listen, store, rows)
                if read.kept:
                    labels = torch.tensor(splits.tree.labels(read.kept), dtype=torch.int64)
                    digest = Images(read.pixels, labels, splits.tree.class_names, request.shape).digest
                    read = read._replace(digest=digest)
                store.write([key(request.pixel_range), key(read.pixel_range)], rows, read, cropped)
            except BaseException:
                rows.drop()
                raise
            return read, store.place.parent
    except OSError as error:
        listen.note(not_kept(store.place.parent, error))
        return _read(splits, request, listen)[0], None


def _read(
    splits: _Splits, request: Request, listen: ReadListener, store: Store | None = None, rows: Rows | None = None
) -> tuple[Pictures, list[Cropped]]:
    """The pictures of a request, and what became of each: read into memory, or written to `rows`.

    What the store has already is taken from there.

    Raises:
        DataError: they take too much memory, or no range suits them.
        UsageError: fewer are kept for validation than the request asks for.
        OSError: `rows` cannot be written.
    """
    tree = splits.tree
    if rows is None:
        _check_memory(tree.folder, len(splits.wanted(request)), request.shape)
    pixel_range = request.pixel_range or _range_of(splits, request)
    take = _Taker(tree, request.shape, pixel_range, listen, store.unchanged(pixel_range) if store else {})
    held = take.last(splits, request) if request.validation and request.split == TRAIN and request.only is None else None
    tried = held.tried if held else set()
    names = splits.ordered(request.split) if request.only is None else splits.wanted(request)
    taken = take.first([name for name in names if name not in tried], None if request.only else request.limit, rows)
    if held:
        both = torch.cat((taken.pixels, held.pixels))
        if rows:
            for pixels in held.pixels:
                rows.append(pixels.numpy().tobytes())
        taken = _Taken(both, taken.kept + held.kept, taken.cropped + held.cropped, taken.failures + held.failures, tried)
    pixels, counts = rows.finish() if rows else taken.pixels, Counts.of(taken.kept, taken.cropped)
    untrained = [] if request.split == TRAIN or request.only is not None else _untrained(splits, taken.kept)
    return Pictures(pixels, taken.kept, counts, taken.failures, untrained, pixel_range), taken.cropped


def _is_almost_kept(store: Store, splits: _Splits, request: Request) -> bool:
    """Whether all pictures of a split cost no more to prepare than those that a request needs, since others have not changed."""
    assert request.only is not None and request.pixel_range is not None
    known = store.unchanged(request.pixel_range)
    return bool(known) and sum(name not in known for name in splits.wanted(replace(request, only=None))) <= len(request.only)


def _untrained(splits: _Splits, kept: Sequence[str]) -> list[str]:
    """The labels of some pictures that no training picture has."""
    names = splits.tree.class_names
    missing = set(splits.tree.labels(kept)) - set(splits.tree.labels(splits.train)) - {UNKNOWN}
    return [names[number] for number in sorted(missing)]


@dataclass(frozen=True)
class _Taker:
    """Reads pictures, several at a time: Pillow's decoders and filters leave Python's lock to other threads."""

    tree: Tree
    shape: ImageShape
    pixel_range: tuple[float, float]
    listen: ReadListener
    unchanged: Mapping[str, Callable[[], Cropped]]

    def first(self, names: Sequence[str], limit: int | None, rows: Rows | None = None) -> _Taken:
        """The first of these pictures that can be read, all if there is no limit; their pixels are in `rows`, if there are such."""
        most = len(names) if limit is None else min(limit, len(names))
        pixels = torch.empty(0 if rows else most, self.shape.size, dtype=torch.uint8)
        taken = _Taken(pixels, [], [], [], set())
        while (done := len(taken.tried)) < len(names) and len(taken.kept) < most:
            count = max(most - len(taken.kept), _WORKERS if done else 0)  # no more than are needed, if all can be read
            for name, result in _attempts(names[done : done + count], self._attempt):
                taken.tried.add(name)
                if isinstance(result, DataError):
                    taken.failures.append(str(result))
                else:
                    if rows:
                        rows.append(result.pixels)
                    else:
                        pixels[len(taken.kept)] = result.tensor
                    taken.kept.append(name)
                    taken.cropped.append(result._replace(pixels=b""))
                done = len(taken.tried)
                over = len(taken.kept) == most or done == len(names)
                if done % _INTERVAL == 0 or over:
                    self.listen.progress(len(taken.kept) if limit is not None else done, most)
                if over:
                    break
        return taken._replace(pixels=pixels[: len(taken.kept)])

    def last(self, splits: _Splits, request: Request) -> _Taken:
        """The pictures that are held out: the first that the folder keeps for validation, or the last of its training set.

        Raises:
            UsageError: the folder keeps fewer for validation.
        """
        count = request.validation or 0
        if splits.validation:
            read = self.first(splits.validation, count)
            if len(read.kept) < count:
                place = splits.tree.folder / splits.folders(VALIDATION)[0]
                raise UsageError(
                    f"{{validation}}: found {len(read.kept):,} picture{'s' * (len(read.kept) != 1)} in {place}, "
                    f"expected as many or more; hold them all out with {{validation={len(read.kept)}}}", validation=count,
                )  # fmt: skip
            return read
        read = self.first(splits.train[::-1], count)
        return read._replace(pixels=read.pixels.flip(0), kept=read.kept[::-1], cropped=read.cropped[::-1])

    def _attempt(self, name: str) -> Cropped | DataError:
        """A picture, or why it cannot be read."""
        if prepared := self.unchanged.get(name):
            return prepared()
        try:
            return read_cropped(self.tree.place(name), self.shape, self.pixel_range)
        except DataError as error:
            return error


def _range_of(splits: _Splits, request: Request) -> tuple[float, float]:
    """The values that are black and white in the pictures of all splits; values of pictures with 256 levels are not looked at.

    Raises:
        DataError: no range suits them.
    """
    tree = splits.tree
    other = replace(request, split=TEST if request.split == TRAIN else TRAIN, limit=None, validation=None)
    names = [name for one in (request, other) for name in splits.wanted(one)]

    def of(name: str) -> Extent | None:
        try:
            with checked_picture(tree.place(name), (8, 8)) as picture:
                return extent(picture)
        except DataError:
            return None  # it is noted where it is read

    usual = {name for name in names if looks_like_bytes(tree.place(name))}
    extents = [found for _, found in _attempts([name for name in names if name not in usual], of) if found is not None]
    if any(found.kind != "bytes" for found in extents):  # then it matters whether any of the usual ones can be read
        extents += [found for _, found in _attempts([*usual], of) if found is not None]
    try:
        return settle(extents)
    except DataError as error:
        raise error.reworded(DataError, before=f"{tree.folder}: ") from None


def _attempts(names: Sequence[str], work: Callable[[str], _T]) -> Iterator[tuple[str, _T]]:
    """What `work` gives for each name, in their order; a few are worked on ahead, in several threads."""
    waiting: deque[tuple[str, Future[_T]]] = deque()
    with ThreadPoolExecutor(min(_WORKERS, processors())) as pool:
        for name in names:
            waiting.append((name, pool.submit(work, name)))
            if len(waiting) > 4 * _WORKERS:
                done, result = waiting.popleft()
                yield done, result.result()
        while waiting:
            done, result = waiting.popleft()
            yield done, result.result()


def _check_memory(folder: Path, count: int, shape: ImageShape) -> None:
    """Refuses more pictures than this machine's memory holds, before any is read."""
    most = int(SHARE * machine_memory())
    if count * shape.size > most:
        side = shape.height
        while side > 8 and count * shape.channels * side**2 > most:
            side //= 2
        raise DataError(
            f"{folder}: {count:,} pictures of {shape} take {count * shape.size / 1e9:,.1f} GB of memory, expected at most "
            f"{most / 1e9:,.1f}, half of this machine's; take fewer of them with {{limit={most // shape.size}}}, or smaller images "
            f"with {{image_size={side}}}"
        )


def _remarks(tree: Tree) -> Iterator[str]:
    """What is unusual about a folder as a whole."""
    yield from tree.closed
    if tree.others.total() or tree.links:
        yield f"{_others(tree)}, left out; pictures are {_KINDS}"
    inside = tree.inside
    if tree.layout is not None and (outside := len(tree.pictures) - len(inside)):
        yield f"pictures outside {_listed(tree.layout.splits)}, left out: {outside:,}"
    if tree.class_names and (unlabelled := sum(tree.class_name(picture) is None for picture in inside)):
        beside = "" if tree.given else " beside the sub-folders, which are the labels, and so"
        yield f"pictures{beside} without {'a label' if tree.given else 'one'}: {unlabelled:,}"
    if tree.layout is None and (suspects := tree.named_like_splits()):
        yield (
            f"{_listed(suspects)} count{'s' * (len(suspects) == 1)} as labels or parts of them, not as splits: expected a folder "
            "for training beside one for testing, which hold all pictures"
        )


def _listed(names: Iterable[str]) -> str:
    """Folders in words: ``test/, train/ and val/``."""
    *most, last = sorted(f"{escape_controls(name)}/" for name in names)
    return f"{', '.join(most)} and {last}" if most else last


def _others(tree: Tree) -> str:
    """What there is beside pictures: ``other files: 12 (.txt, .heic), links to folders: 1``."""
    endings = ", ".join(ending or "no ending" for ending, _ in tree.others.most_common(4))
    files = f"other files: {tree.others.total():,} ({endings}{', ...' if len(tree.others) > 4 else ''})" if tree.others else ""
    return ", ".join(filter(None, (files, f"links to folders: {tree.links:,}" if tree.links else ""))) or "no file"


def _nothing(folders: Sequence[str], failures: Sequence[str]) -> str:
    """Why a split holds no picture that can be read."""
    if not failures:
        return f"found no picture in {_listed(folders)}, expected {_KINDS} there"
    return f"found files named like pictures: {len(failures):,}, none of which can be read; the first: {failures[0]}"
