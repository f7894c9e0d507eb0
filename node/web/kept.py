"""What was read once and is true for good, because a hash names it. Used by several threads."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final, Generic, TypeVar

from node.storage.cache import Cache

KEPT: Final = 1_024
"""Objects of a few hundred bytes."""
KEPT_LEAVES: Final = 32
"""Lists of a block's txids: 32 bytes an entry, so some 10 MB of full blocks at most."""


T = TypeVar("T")


class Kept(Generic[T]):
    """Objects by hash, the last ones asked for: at least `bound` of them, and about twice as many at most."""

    def __init__(self, bound: int = KEPT) -> None:
        self._lock = Lock()
        self._known: Cache[bytes, T] = Cache(bound)

    def of(self, name: bytes, make: Callable[[bytes], T]) -> T:
        """Return the object of that name, made where it is not kept. Raises what `make` raises."""
        with self._lock:
            found = self._known.get(name)
        if found is None:
            found = make(name)
            with self._lock:
                self._known.put(name, found)
        return found
