"""What a run understood of a person's own images: their splits, labels and values, and what was left out. Said before training."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vaecli.config import Config
from vaecli.data.crop import FEW_SHADES
from vaecli.data.images import UNKNOWN, Images, Reading
from vaecli.data.values import BYTE_RANGE, in_words
from vaecli.errors import VaecliError, in_python

MANY = 12
"""From so many labels on, their pictures are given as a range, not one by one."""

_SOME = 4096

DARK = 32
"""Where no byte of any picture is as large, 255 is hardly meant to be white."""


@dataclass(frozen=True)
class SplitSummary:
    """One split of a folder.

    Attributes:
        pictures: how many there are.
        labels: how many of them have each label, by its name; empty where the folder has no labels.
        unlabelled: how many have none.
        left_out: files that could not be read.
        cut: pictures of which only the middle was taken.
        scaled: pictures that were made smaller or larger.
        pages: further pages of files, which were left out.
        outside: pictures with values outside `pixel_range`.
        flat: names of pictures of whose many values it leaves few shades.
    """

    pictures: int
    labels: dict[str, int]
    unlabelled: int
    left_out: int
    cut: int
    scaled: int
    pages: int
    outside: int
    flat: tuple[str, ...]

    @staticmethod
    def of(images: Images, reading: Reading) -> "SplitSummary":
        """What there is to say about images of these files."""
        counts = Counter(images.labels.tolist())
        labels = {name: counts[number] for number, name in enumerate(images.class_names)}
        what = {name: getattr(reading, name) for name in ("left_out", "cut", "scaled", "pages", "outside", "flat")}
        return SplitSummary(len(images), labels, counts[UNKNOWN], **what)


@dataclass(frozen=True)
class DataSummary:
    """A folder of pictures or a file of arrays, as a run uses it.

    Attributes:
        folder: where the pictures are.
        places: the sub-folders or arrays that hold each split, such as ``test/``; empty for a split that is chosen by hash.
        train: the training set, with the pictures that are held out of it.
        test: the test set.
        validation: how many pictures are held out.
        unused: pictures that the folder keeps for validation, of which no use is made.
        pixel_range: the values that are black and white.
        duplicates: pairs of the names of a training picture and of an equal test picture, one for each such test picture.
        held_out_duplicates: likewise of pictures that are held out for validation.
        untrained: labels that no training picture has, with the number of test pictures.
        brightest: the greatest byte of all pictures.
        conditional: whether the model sees labels.
        noun: what one of them is called.
        bordered: of arrays, the height and width of the images in them, if these have a black border now.
        side: height and width of the images.
        kept_in: where prepared pictures were kept just now, with their bytes, if they were.
        two_shades: whether arrays hold black and white only, and the model is of more shades.
    """

    folder: str
    places: dict[str, str]
    train: SplitSummary
    test: SplitSummary
    validation: int
    unused: int
    pixel_range: tuple[float, float]
    duplicates: tuple[tuple[str, str], ...]
    held_out_duplicates: tuple[tuple[str, str], ...]
    untrained: dict[str, int]
    brightest: int
    conditional: bool
    noun: str = "picture"
    bordered: tuple[int, int] | None = None
    side: int = 0
    two_shades: bool = False
    kept_in: tuple[Path, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/json.md lists them."""
        values = asdict(self)
        splits = {
            name: {"place": place} | values[name] | {"flat": len(values[name]["flat"])} for name, place in self.places.items()
        }
        names = ("validation", "unused", "pixel_range", "untrained")
        equal = {"duplicates": len(self.duplicates), "held_out_duplicates": len(self.held_out_duplicates)}
        arrays = ("bordered", "two_shades") if self.noun == "image" else ()
        return {"folder": self.folder, "splits": splits} | equal | {name: values[name] for name in (*names, *arrays)}

    def lines(self, spell: Callable[[str, str], str] = in_python) -> list[str]:
        """A few sentences, each on a line; settings are written by `spell`, as `VaecliError.text` has them."""
        return [
            VaecliError(f"{{folder}}: {text}", folder=Path(self.folder)).text(lambda n, v: v if n == "folder" else spell(n, v))
            for text in (*self._texts(), *self._kept_text())
        ]

    def _texts(self) -> Iterator[str]:
        kept = self.train.pictures - self.validation
        held = f", {self.validation:,} to choose by (validation)" if self.validation else ""
        where = {split: f" from {place}" if place else "" for split, place in self.places.items()}
        by_hash = "" if self.places["test"] else f", chosen by a hash of their {'paths' if self.noun == 'picture' else 'pixels'}"
        if self.train.pictures == self.test.pictures == 1 and self.duplicates and len(set(self.duplicates[0])) == 1:
            yield f"there is one {self.noun}: it is the training set and the test set"
            return
        yield f"{self._counted(kept)} to train on{where['train']}{held}, {self.test.pictures:,} to test on{where['test']}{by_hash}"
        if self.train.labels:
            yield f"labels, training + test {self.noun}s: {self._labels()}"
        if self.unused:
            yield (
                f"{self._counted(self.unused)} kept for validation, of which no use is made; {{validation={self.unused}}} "
                "measures on them, not on the test set"
            )
        changes = [
            f"{text}: {count:,}"
            for name, text in (
                ("left_out", "left out, as they cannot be read"), ("scaled", "scaled"), ("cut", "cut to their middle"),
                ("pages", "pages after the first of a file, left out"),
            )
            if (count := getattr(self.train, name) + getattr(self.test, name))
        ]  # fmt: skip
        if changes:
            files = sum(split.pictures + split.left_out for split in (self.train, self.test))
            yield f"of {self._counted(files)}, {', '.join(changes)}"
        if self.bordered:
            yield f"{self.bordered[0]} x {self.bordered[1]} pixels, with a black border to {self.side} x {self.side}"
        outside, flat = self.train.outside + self.test.outside, self.train.flat + self.test.flat
        if tuple(self.pixel_range) != BYTE_RANGE or outside or flat:
            cut = f"; values outside are cut to the ends, in {self._counted(outside)}" if outside else ""
            suits = ", and there are no others: {likelihood=bernoulli} suits them" if self.two_shades else ""
            yield f"values {in_words(self.pixel_range)} are black to white{cut}{suits}; {{pixel_range=LOW,HIGH}} sets others"
        elif self.brightest < DARK:
            white = max(1, self.brightest)
            yield f"no value of any {self.noun} is above {self.brightest} of 255; if that is white, give {{pixel_range=0,{white}}}"
        if flat:
            name = flat[0].replace("{", "(")
            yield f"{self.noun}s whose many values become fewer than {FEW_SHADES} of 256 shades: {len(flat):,}, such as {name}"
        for measured, numbers, pairs in (
            (f"test {self.noun}s", "the test set", self.duplicates),
            (f"{self.noun}s held out", f"the held-out {self.noun}s", self.held_out_duplicates),
        ):
            if pairs:
                first = " and ".join(name.replace("{", "(") for name in pairs[0])
                yield (
                    f"{measured} that equal a training {self.noun}: {len(pairs):,}, such as {first}; the numbers of {numbers} "
                    f"flatter the model; keep each {self.noun} in one split only"
                )
        if self.untrained:
            names = ", ".join(f"{name} ({self._counted(count)} to test on)" for name, count in list(self.untrained.items())[:MANY])
            measured = (
                f"; the model cannot know them, so they are measured as {self.noun}s of unknown label" if self.conditional else ""
            )
            yield f"labels without a training {self.noun}: {names}{measured}"
        if self.conditional and self.test.unlabelled == self.test.pictures and not self.untrained:
            yield f"the test {self.noun}s have no label, which the model has not learnt to do without: their numbers say little"

    def _kept_text(self) -> Iterator[str]:
        if self.kept_in:
            place, size = self.kept_in
            yield f"prepared once, and kept for later commands: {size / 1e6:,.1f} MB in {str(place).replace('{', '(')}"

    def _counted(self, count: int) -> str:
        return f"{count:,} {self.noun}{'s' * (count != 1)}"

    def _labels(self) -> str:
        pairs = [(name, self.train.labels[name], self.test.labels.get(name, 0)) for name in self.train.labels]
        if len(pairs) < MANY:
            return ", ".join(f"{name.replace('{', '(')} {train:,} + {test:,}" for name, train, test in pairs)
        ranges = (sorted(counts) for counts in ([pair[1] for pair in pairs], [pair[2] for pair in pairs]))
        words = " + ".join(f"{counts[0]:,} to {counts[-1]:,}" for counts in ranges)
        return f"{len(pairs):,} labels of {words}"


def summarise(train: Images, test: Images, config: Config) -> DataSummary | None:
    """What a run with these settings understood of its pictures; None where they are no files of a person's own.

    Args:
        train: all training images that were read, those that are held out at the end.
        test: the test images.
        config: the settings of the run.
    """
    first, second = train.reading, test.reading
    if first is None or second is None:
        return None
    named = list(zip(train.digests, train.names, strict=True))
    last = max(0, len(train) - (config.validation or 0))
    known, held_out = dict(named[:last]), dict(named[last:])
    return DataSummary(
        str(first.folder),
        {"train": _places(first), "test": _places(second)},
        SplitSummary.of(train, first),
        SplitSummary.of(test, second),
        config.validation or 0,
        first.unused,
        first.pixel_range,
        _equal(zip(test.digests, test.names, strict=True), held_out | known),
        _equal(named[last:], known),
        dict(second.untrained),
        max(int(train.pixels.max()), int(test.pixels.max())),
        config.labels != "none",
        "image" if first.array else "picture",
        first.bordered,
        train.shape.height,
        first.array and config.binarize == "none" and all(_has_two_shades(images) for images in (train, test)),
        _kept(train, test),
    )


def _kept(*splits: Images) -> tuple[Path, int] | None:
    """Where splits were kept that were prepared just now, and their bytes; None if none was."""
    kept = [(split.reading.kept_in, split.pixels.numel()) for split in splits if split.reading and split.reading.kept_in]
    return (kept[0][0], sum(size for _, size in kept)) if kept else None


def _has_two_shades(images: Images) -> bool:
    return all(bool(((some == 0) | (some == 255)).all()) for some in images.pixels.split(_SOME))


def _places(reading: Reading) -> str:
    return " and ".join(reading.folders if reading.array else (f"{folder}/" for folder in reading.folders))


def _equal(images: Iterable[tuple[str, str]], known: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Pairs of the names of a known image and of an equal one of these, of which each has its digest and its name."""
    return tuple((known[digest], name) for digest, name in images if digest in known)
