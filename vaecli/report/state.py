"""What a report was drawn from before, so that only what has changed is drawn anew. No torch."""

import json
from pathlib import Path
from typing import Any, Self

from vaecli.files import write_file

FIGURE = {"key", "told", "pictures", "text", "seconds", "finding", "device"}
FINDING = {"text", "holds", "words", "reading"}


class State:
    """The figures and the page that are there.

    Args:
        path: the file that it is kept in.
        figures: by number, what each was drawn from (`key`) and what came out.
        page: what the page was made from.

    Attributes:
        drawn: numbers of the figures that this process drew.
    """

    def __init__(self, path: Path, figures: dict[str, Any], page: str) -> None:
        self.path, self.figures, self.page = path, figures, page
        self.drawn: list[int] = []

    @classmethod
    def read(cls, path: Path) -> Self:
        """The state that is kept there; an empty one, from which all is drawn anew, where there is none or it is not ours."""
        try:
            told = json.loads(path.read_bytes())
            figures, page = dict(told["figures"]), str(told["page"])
            if not all(set(each) >= FIGURE and set(each["finding"]) >= FINDING for each in figures.values()):
                return cls(path, {}, "")
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return cls(path, {}, "")
        return cls(path, figures, page)

    def keep(self) -> None:
        """Writes it, whole or not at all."""
        write_file(self.path, json.dumps({"figures": self.figures, "page": self.page}, indent=1).encode())
