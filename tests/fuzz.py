"""What the fuzz tests share: how many cases they try, values of JSON, and the one way in which a reader may fail.

``pytest --hypothesis-show-statistics`` tells how each case ended; the environment variable VAECLI_FUZZ=10 tries ten times as many.
"""

import os
import re
import tracemalloc

from hypothesis import HealthCheck, currently_in_test_context, event, settings
from hypothesis import strategies as st

SCALE = int(os.environ.get("VAECLI_FUZZ", "1"))

MEMORY = 100e6
"""Bytes that reading a file of at most some hundred kilobytes may take for Python's objects."""

MANY = "1" * 400
"""Digits of a number that no float holds."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_subnormal=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def cases(count):
    """A test of so many cases, the same ones in every run."""
    return settings(
        max_examples=count * SCALE, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


def attempt(read, path, data, kind):
    """Whether a reader takes a file of these bytes; it may fail in one way only: by an error of this kind, on one line."""
    path.write_bytes(data)
    tracemalloc.start()
    try:
        read(path)
        outcome = "valid"
    except kind as error:
        text = str(error)
        assert str(path.parent) in text or "--config" in text
        assert "\n" not in text
        outcome = re.sub(r"(0x)?[0-9][0-9a-f,]*", "#", text.replace(str(path), "").split(":")[1])[:40]
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY
    if currently_in_test_context():
        event(outcome)
    return outcome == "valid"
