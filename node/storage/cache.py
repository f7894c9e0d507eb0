"""A bounded cache for what is read again and again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """The last things used: at least `bound` of them, at most twice as many and one update.

    Two generations: when the young one is full it becomes the old one, and the old one is forgotten; what is
    found in the old one is young again. That costs a dict's price a read, and takes a whole dict at once.
    """

    __slots__ = ("_bound", "_old", "young")

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._old: dict[K, V] = {}
        self.young: dict[K, V] = {}
        """Open to reads that must be fast; `get` finds more."""

    def get(self, key: K) -> V | None:
        """Return what is known of the key, None for nothing."""
        found = self.young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Remember one thing, not None."""
        self.young[key] = value
        if len(self.young) > self._bound:
            self._turn()

    def update(self, values: Mapping[K, V]) -> None:
        """Remember many."""
        self.young.update(values)
        if len(self.young) > self._bound:
            self._turn()

    def clear(self) -> None:
        """Forget everything."""
        self._old = {}
        self.young = {}

    def _turn(self) -> None:
        self._old = self.young
        self.young = {}
