"""The C extension by itself: what it refuses, and that it lets the interpreter go on.

Its answers are compared with Python's in `test_pow.py` and `test_batch.py`.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

_native = pytest.importorskip(
    "node._native", reason="the extension is not built; pip builds it, with a C compiler"
)

PREFIX = bytes(84)
NEVER = bytes(32)


def test_there_is_a_kernel_for_any_machine() -> None:
    assert _native.pow_kernels()[-1] == "portable c"


@pytest.mark.parametrize(
    "arguments, error",
    [
        (("abacus", PREFIX, NEVER, 0, 1), ValueError),
        ((None, PREFIX, NEVER, 0, 1), TypeError),
        (("portable c", PREFIX[1:], NEVER, 0, 1), ValueError),
        (("portable c", bytearray(84), NEVER, 0, 1), TypeError),
        (("portable c", PREFIX, NEVER + b"\0", 0, 1), ValueError),
        (("portable c", PREFIX, 5, 0, 1), TypeError),
        (("portable c", PREFIX, NEVER, -1, 1), OverflowError),
        (("portable c", PREFIX, NEVER, 2**64, 1), OverflowError),
        (("portable c", PREFIX, NEVER, 0, -1), OverflowError),
        (("portable c", PREFIX, NEVER, 0, 2**64), OverflowError),
        (("portable c", PREFIX, NEVER, 0.0, 1), TypeError),
        (("portable c", PREFIX, NEVER, 0), TypeError),
    ],
)
def test_what_is_no_search_is_refused(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        _native.pow_search(*arguments)


def test_the_interpreter_goes_on_during_a_search() -> None:
    go, seen = threading.Event(), []

    def look() -> None:
        go.wait()
        seen.append(time.monotonic())

    thread = threading.Thread(target=look)
    thread.start()
    go.set()
    _native.pow_search("portable c", PREFIX, NEVER, 0, 1 << 23)  # for seconds
    ended = time.monotonic()
    thread.join()
    assert seen[0] < ended
