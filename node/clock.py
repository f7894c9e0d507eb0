"""The only real clock. The daemon reads it, and hands the time to all that needs it."""

from __future__ import annotations

import time

from node.events import Now


def read_clock() -> Now:
    """Return the time: Unix milliseconds UTC, and monotonic milliseconds."""
    return Now(time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000)
