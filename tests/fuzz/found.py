"""Inputs that a target once failed on, kept for good: every run of the tests gives them to it again.

A new one is a line here, with the name of its target and what it showed; the file that a search leaves has
its bytes. What can be said shorter in code than in bytes is said in code.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from node.ledger import codec


class Found(NamedTuple):
    """One input, and what was wrong."""

    target: str
    data: bytes
    showed: str


_BODY: Final = codec.encode(((), (), ()))

FOUND: Final = (
    Found(
        "file-settings",
        b"[node]\nport = 0x" + b"f" * 4_000,
        "a number that Python reads but does not write was a ValueError instead of a refused setting",
    ),
    Found(
        "file-settings",
        b"[[peers]]\naddress = [0x" + b"f" * 4_000 + b"]",
        "the same inside another value",
    ),
    Found(
        "file-settings",
        b'[node]\ndata_dir = "~nobody-of-this-name/book"\n',
        "the home of a user who is not there was a RuntimeError instead of a refused setting",
    ),
    Found(
        "file-network",
        b"ab" * 32 + b" B\xfccher\n",
        "a name with a byte changed, no UTF-8 any more, was read as another name",
    ),
    Found(
        "file-socket-path",
        b"/tmp/@\0/node.sock",
        "a path that no system takes was a ValueError where the socket was looked for",
    ),
    Found(
        "file-peers",
        codec.encode((True, hashlib.sha256(_BODY).digest(), _BODY)),
        "true was taken for version 1",
    ),
)
