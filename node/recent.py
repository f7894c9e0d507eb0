"""A bounded memory of what happened lately. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import KeysView
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """What was noted last, up to a bound; the oldest is forgotten. Each operation takes constant time."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        # Not a plain dict: finding the oldest in one that is emptied from the front takes ever longer.
        self._noted: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._noted)

    def __contains__(self, key: Key) -> bool:
        return key in self._noted

    def note(self, key: Key, value: Value) -> None:
        """Remember the value as the newest."""
        noted = self._noted
        if key in noted:
            noted.move_to_end(key)
        noted[key] = value
        if len(noted) > self._bound:
            noted.popitem(last=False)

    @property
    def keys(self) -> KeysView[Key]:
        """What is noted, always as it is now."""
        return self._noted.keys()

    def clear(self) -> None:
        """Forget everything."""
        self._noted.clear()

    def get(self, key: Key) -> Value | None:
        return self._noted.get(key)

    def forget(self, key: Key) -> Value | None:
        """Return the value, and remember it no longer."""
        return self._noted.pop(key, None)
