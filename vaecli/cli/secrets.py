"""Passwords on the command line: out of sight of ``ps`` as soon as they are read."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

_ARG_START, _ARG_END = 47, 48
"""Places in /proc/PID/stat, from 0, of the addresses between which the process's arguments lie."""

_PASSWORDS = re.compile(rb"(?s)://[^:/@]*:(.+)@|[?&](?:ssl)?password=([^&]+)")
"""In a URL as it was typed, which need not be a right one: its password may have any letter."""


def forget_password(url: str | None) -> None:
    """Overwrites the password of a URL where the system keeps this process's arguments, which Linux allows."""
    typed = os.fsencode(url or "")
    hidden = masked(typed)
    if sys.platform != "linux" or hidden == typed:
        return
    with suppress(OSError, ValueError, IndexError):
        stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(stat[_ARG_START - 2]), int(stat[_ARG_END - 2])
        arguments = ctypes.string_at(start, end - start)
        at = arguments.find(typed)
        while at >= 0:
            ctypes.memmove(start + at, hidden, len(hidden))
            at = arguments.find(typed, at + len(typed))


def masked(url: bytes) -> bytes:
    """The URL with a star for every byte of its passwords.

    Example:
        >>> masked(b"postgresql://me:p@ss:w/rd@host/db")
        b'postgresql://me:*********@host/db'
    """
    letters = bytearray(url)
    for match in _PASSWORDS.finditer(url):
        start, end = match.span(match.lastindex or 0)
        letters[start:end] = b"*" * (end - start)
    return bytes(letters)
