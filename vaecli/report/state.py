"""The state of a report: what it was drawn from, so that only what has changed is drawn anew. No torch."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, Self, TypeGuard

from vaecli.files import write_file
from vaecli.reading import read_file

FIGURE = {"key": str, "pictures": list, "plots": list, "text": str, "seconds": int | float, "finding": dict, "device": str}
FINDING = {"text": str, "verdict": str, "reading": str, "ours": str, "why": str, "decisions": list, "outcomes": list}
DECISION = {"what": str, "why": str, "p": int | float, "holds": bool, "claimed": bool, "verdict": str}
OUTCOME = {"verdict": str, "reading": str}
PICTURE = {"path": str, "width": int, "height": int, "what": str}
PLOT = {"path": str, "kind": str, "sha256": str}

MAX_STATE = 4_000_000
"""Bytes of a state that are read; one of all figures has a hundredth."""

_MAX_NUMBER = 1e9


class State:
    """The figures and the page that are up to date.

    Args:
        path: the file that it is kept in.
        figures: by number, a digest of what the figure was drawn from (`key`), its pictures and its finding.
        page: a digest of what the page was made from.

    Attributes:
        drawn: numbers of the figures that this process drew.
    """

    def __init__(self, path: Path, figures: dict[str, Any], page: str) -> None:
        self.path, self.figures, self.page = path, figures, page
        self.drawn: list[int] = []

    @classmethod
    def read(cls, path: Path) -> Self:
        """The state in a file; an empty one, which has everything drawn anew, if there is none or it is damaged."""
        try:
            kept = json.loads(read_file(path, MAX_STATE))
            json.dumps(kept, ensure_ascii=False).encode()  # fails if a text cannot be written to a file
        except (OSError, ValueError, RecursionError):
            return cls(path, {}, "")
        if not _fits(kept, {"figures": dict, "page": str}) or not all(map(_is_figure, kept["figures"].values())):
            return cls(path, {}, "")
        return cls(path, kept["figures"], kept["page"])

    def keep(self) -> None:
        """Writes the state, whole or not at all."""
        write_file(self.path, json.dumps({"figures": self.figures, "page": self.page}, indent=1).encode())


def _is_figure(value: object) -> bool:
    return (
        _fits(value, FIGURE)
        and _is_finding(value["finding"])
        and all(_is_file(picture, PICTURE) for picture in value["pictures"])
        and all(_is_file(plot, PLOT) for plot in value["plots"])
    )


def _is_finding(value: object) -> bool:
    if not (_fits(value, FINDING) and value.keys() == FINDING.keys()):
        return False
    decisions, outcomes = value["decisions"], value["outcomes"]
    if not all(_fits(each, DECISION) and each.keys() == DECISION.keys() for each in decisions):
        return False
    if not all(_fits(each, OUTCOME) and each.keys() == OUTCOME.keys() for each in outcomes):
        return False
    return len(outcomes) == len(decisions) + 1 or (not decisions and not outcomes)


def _is_file(value: object, kinds: Mapping[str, Any]) -> bool:
    return _fits(value, kinds) and value.keys() == kinds.keys() and _is_inside(value["path"])


def _is_inside(path: str) -> bool:
    parts = PurePath(path).parts
    return not PurePath(path).is_absolute() and ".." not in parts and all(len(part) < 100 for part in parts)


def _fits(value: object, kinds: Mapping[str, Any]) -> TypeGuard[dict[str, Any]]:
    """Whether a value is a JSON object with these entries, of these types, and only sensible numbers among them."""
    if not isinstance(value, dict) or not value.keys() >= kinds.keys():
        return False
    entries = [(value[name], kind) for name, kind in kinds.items()]
    return all(
        isinstance(entry, kind) and (not isinstance(entry, int | float) or abs(entry) < _MAX_NUMBER) for entry, kind in entries
    )
