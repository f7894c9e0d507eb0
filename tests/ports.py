"""Free TCP ports of loopback for tests: none is given out twice, and no system takes one by itself.

Binds a socket to try a port out, and lets it go.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
from collections.abc import Iterator
from typing import Final

PAGE: Final = 1_000
"""The page of a node is so far above the node's own port."""


def _ports() -> Iterator[int]:
    """Yield ports, each once, out of the range that systems hand out by themselves.

    The one of a node's page is left out as well. Workers of pytest-xdist mix them alike, and share them out.
    """
    thousands = range(10_000, 32_000, 2 * PAGE)
    every = [at + odd for at in thousands for odd in range(PAGE)]
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    (random.SystemRandom() if run is None else random.Random(run)).shuffle(every)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    yield from every[worker :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]


_PORTS: Final = _ports()
_LOCK: Final = threading.Lock()


def free_port() -> int:
    """Return a port that nobody listens on, nor on that of its page, and that no other test is given."""
    with _LOCK:
        for port in _PORTS:
            if _is_free(port) and _is_free(port + PAGE):
                return port
    raise AssertionError("no port is left")


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
