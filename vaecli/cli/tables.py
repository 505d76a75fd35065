"""Tables on stdout: a pipe gets each row whole, on one line; a terminal the columns that it has room for, or a row for each."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console

from vaecli.cli import console

GAP = "  "

MOST_TURNED = 12
"""The most rows of a table that is turned where it is too wide."""

LEAST_FOLDED = 24
"""The least columns of a text that takes several lines."""

MINUS = "\N{MINUS SIGN}"

_NUMBER = re.compile(r"[-+]?\d[\d,]*")
_SIGN = re.compile(r"(?<!\S)-(?=\S)")


@dataclass
class Column:
    """A column of a table.

    Attributes:
        heading: above it.
        number: whether it has numbers, which are aligned on the point.
        cells: its texts, from the first row.
    """

    heading: str
    number: bool = False
    cells: list[str] = field(default_factory=list)


@dataclass
class Table:
    """A table: columns with as many cells each."""

    columns: list[Column]

    @staticmethod
    def of(text: Iterable[str], numbers: Iterable[str], more: Iterable[str] = ()) -> "Table":
        """A table without rows, with headings of columns of text, then of numbers, then of more text."""
        return Table([
            *(Column(heading) for heading in text),
            *(Column(heading, True) for heading in numbers),
            *(Column(heading) for heading in more),
        ])  # fmt: skip

    def add_row(self, *cells: str) -> None:
        """Adds a row, with a text for each column."""
        for column, cell in zip(self.columns, cells, strict=True):
            column.cells.append(cell)


def print_table(table: Table, least: Sequence[str] = (), folded: str = "") -> None:
    """Prints a table on stdout.

    Args:
        table: with at least one column.
        least: the headings of columns that a narrow terminal does without, the first of them first; a note names them.
        folded: the heading of a column of texts that may take several lines there.
    """
    if not console.stdout.is_terminal:
        _print(table, [[column.heading] for column in table.columns])
        return
    width, left_out = console.stdout.width, list[str]()
    table = _with_minus(table)
    while True:
        table = _folded(table, folded, width)
        headings = _headings(table, width)
        if _width(table, headings) <= width or len(left_out) == len(least):
            break
        left_out.append(least[len(left_out)])
        table = Table([column for column in table.columns if column.heading not in left_out])
    if _width(table, headings) <= width or len(table.columns[0].cells) > MOST_TURNED:
        _print(table, headings)
    else:
        for part in _turned(table, width):
            _print(part, [[column.heading] for column in part.columns])
    if left_out:
        console.note(f"Left out for want of room: {', '.join(left_out)}; a pipe gets all columns")


def aligned(cells: Sequence[str]) -> list[str]:
    """Texts of one width, those that begin with a number with their points above each other; others end where these do."""
    starts = [found.group() if (found := _NUMBER.match(cell.replace(MINUS, "-"))) else None for cell in cells]
    before = max((len(start) for start in starts if start is not None), default=0)
    padded = [cell if start is None else " " * (before - len(start)) + cell for cell, start in zip(cells, starts, strict=True)]
    width = max(map(cell_len, padded), default=0)
    return [
        " " * (width - cell_len(cell)) + cell if start is None else cell + " " * (width - cell_len(cell))
        for cell, start in zip(padded, starts, strict=True)
    ]


def _texts(column: Column) -> list[str]:
    return aligned(column.cells) if column.number else column.cells


def _print(table: Table, headings: Sequence[Sequence[str]]) -> None:
    """Prints a table under headings of one or more lines, which end in the same line."""
    lines = max(map(len, headings))
    above = [[*[""] * (lines - len(heading)), *heading] for heading in headings]
    columns = []
    for column, heading in zip(table.columns, above, strict=True):
        texts = [*heading, *_texts(column)]
        width = max(map(cell_len, texts))
        pads = [" " * (width - cell_len(text)) for text in texts]
        columns.append([pad + text if column.number else text + pad for text, pad in zip(texts, pads, strict=True)])
    for number, cells in enumerate(zip(*columns, strict=True)):
        console.result(GAP.join(cells).rstrip(), bold=number < lines)


def _headings(table: Table, width: int) -> list[list[str]]:
    """The headings, in several lines where the table is wider than `width` without: their words stay whole."""
    whole = [[column.heading] for column in table.columns]
    if _width(table, whole) <= width:
        return whole
    return [_wrapped(column) for column in table.columns]


def _folded(table: Table, heading: str, width: int) -> Table:
    """The table with the texts of a column in lines that leave it no wider than `width`, if they are not too short then."""
    place = next((at for at, column in enumerate(table.columns) if column.heading == heading), None)
    others = Table([column for column in table.columns if column.heading != heading])
    room = width - _width(others, _headings(others, 1)) - len(GAP)
    if place is None or room < LEAST_FOLDED:
        return table
    made = Table([Column(column.heading, column.number) for column in table.columns])
    for row in zip(*(column.cells for column in table.columns), strict=True):
        for number, line in enumerate(_lines(row[place], room)):
            made.add_row(*(line if at == place else cell * (not number) for at, cell in enumerate(row)))
    return made


def _lines(text: str, room: int) -> list[str]:
    """A text in lines that end between words."""
    return wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def _wrapped(column: Column) -> list[str]:
    room = max([*map(cell_len, _texts(column)), *map(cell_len, column.heading.split()), 1])
    return _lines(column.heading, room)


def _width(table: Table, headings: Sequence[Sequence[str]]) -> int:
    columns = (max(map(cell_len, [*heading, *_texts(column)])) for column, heading in zip(table.columns, headings, strict=True))
    return sum(columns) + len(GAP) * (len(table.columns) - 1)


def _turned(table: Table, width: int) -> list[Table]:
    """The table with a row for each column but the first, whose cells are headings now; in parts that fit side by side."""
    names, *columns = table.columns
    quantities = Column(names.heading, False, [column.heading for column in columns])
    parts: list[Table] = []
    for number, name in enumerate(names.cells):
        column = Column(name, True, [column.cells[number] for column in columns])
        if parts and _width(wider := Table([*parts[-1].columns, column]), [[it.heading] for it in wider.columns]) <= width:
            parts[-1] = wider
        else:
            parts.append(Table([quantities, column]))
    return parts


def _with_minus(table: Table) -> Table:
    """The table with minus signs before its numbers, and in their headings."""
    return Table([
        Column(signed(column.heading), True, [signed(cell) for cell in column.cells]) if column.number else column
        for column in table.columns
    ])  # fmt: skip


def signed(text: str, stream: Console | None = None) -> str:
    """A text with minus signs for the hyphens before numbers and names of bounds, on a terminal that can print them.

    Args:
        text: for stdout.
        stream: where else it is printed.
    """
    stream = stream or console.stdout
    try:
        MINUS.encode(stream.encoding)
    except UnicodeEncodeError:
        return text
    return _SIGN.sub(MINUS, text) if stream.is_terminal else text
