"""How much memory this process may have."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SHARE = 0.5
"""The most of `machine_memory` that images should take; training and other programs need some too."""

USUAL = 8 << 30
"""Bytes that a machine is taken to have if it does not say."""


def machine_memory(root: Path = Path("/")) -> int:
    """The bytes of memory that this process may have: the machine's, or those of its control groups if they are fewer.

    Args:
        root: the folder in which Linux shows ``proc`` and ``sys``.
    """
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        total = USUAL
    for file in _limits(root):
        with suppress(OSError, ValueError):  # "max" where there is no limit
            total = min(total, int(file.read_text()))
    return total


def _limits(root: Path) -> Iterator[Path]:
    """The files that may hold a limit of this process's control groups (man 7 cgroups), of both versions and with all ancestors.

    In a container the path may be one of the host, which is not seen from within; there the limit stands at the top.
    """
    groups = root / "sys/fs/cgroup"
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = (*line.split(":", 2), "", "")[:3]
            if not controllers:
                tops, name = (groups, groups / "unified"), "memory.max"
            elif "memory" in controllers.split(","):
                tops, name = (groups / "memory", groups / controllers), "memory.limit_in_bytes"
            else:
                continue
            parts = Path(path.lstrip("/")).parts
            for top in tops:
                for depth in range(len(parts) + 1):
                    yield top.joinpath(*parts[:depth], name)
