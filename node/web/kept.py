"""What was read once and is true for good, because a hash names it. Used by several threads."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final

from node.answers import Json
from node.storage.cache import Cache

KEPT: Final = 1_024
"""Objects of a few hundred bytes."""


class Kept:
    """Objects by hash, the last ones asked for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: Cache[bytes, Json] = Cache(KEPT)

    def of(self, name: bytes, make: Callable[[bytes], Json]) -> Json:
        """Return the object of that name, made where it is not kept. Raises what `make` raises."""
        with self._lock:
            found = self._known.get(name)
        if found is None:
            found = make(name)
            with self._lock:
                self._known.put(name, found)
        return found
