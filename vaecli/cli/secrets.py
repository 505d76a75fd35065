"""Passwords on the command line: out of sight of ``ps`` as soon as they are read."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

_ARG_START, _ARG_END = 47, 48
"""Places in /proc/PID/stat, from 0, of the addresses between which the process's arguments lie."""


def forget_password(url: str | None) -> None:
    """Overwrites the password of a URL where the system keeps this process's arguments, which Linux allows."""
    with suppress(OSError, ValueError, IndexError):
        parts = urlsplit(url or "")
        secrets = [parts.password or "", *(value for name, _, value in (pair.partition("=") for pair in parts.query.split("&"))
                                          if name in ("password", "sslpassword"))]  # fmt: skip
        if sys.platform != "linux" or not any(secrets):
            return
        stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(stat[_ARG_START - 2]), int(stat[_ARG_END - 2])
        arguments = ctypes.string_at(start, end - start)
        for secret in filter(None, secrets):
            at = arguments.find(secret.encode())
            while at >= 0:
                ctypes.memset(start + at, ord("*"), len(secret.encode()))
                at = arguments.find(secret.encode(), at + 1)
