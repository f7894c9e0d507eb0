"""Entries whose signatures are being checked, and those whose signatures were. Pure."""

from __future__ import annotations

from collections.abc import Iterator, KeysView
from dataclasses import dataclass
from typing import Final, NamedTuple

from node.ledger.entry import Entry
from node.mempool.refused import Refused
from node.recent import Recent

MAX_IN_CHECK: Final = 10_000
"""Half a second of two threads' work."""
MAX_IN_CHECK_PER_SENDER: Final = 256
"""One round of all that a sender may have pending, and replacements; no sender takes all the places."""
MAX_VERIFIED: Final = 100_000
"""Twice what the pool holds; some 15 MB."""


class Held(NamedTuple):
    """An entry between `Mempool.admit` and `Mempool.add`."""

    entry: Entry
    own: bool
    received_ms: int
    origin: int
    """Number of the connection or request that it came with, of the caller's choosing."""
    replace: bool = True
    """As for `Mempool.admit`."""


class Checked(NamedTuple):
    """What became of it."""

    held: Held
    valid: bool
    """Whether the signature is the sender's."""


@dataclass(slots=True)
class _Place:
    held: Held
    valid: bool | None = None


class InCheck:
    """Entries between `admit` and `add`, while threads check their signatures; one sender's stay in order.

    They do not count in the policy meanwhile: a forged entry must not keep a real one out. `add` checks the
    policy again, in order, when those before are in the pool or gone.
    """

    def __init__(
        self, *, max_entries: int = MAX_IN_CHECK, max_per_sender: int = MAX_IN_CHECK_PER_SENDER
    ) -> None:
        self._max_entries = max_entries
        self._max_per_sender = max_per_sender
        self._places: dict[bytes, _Place] = {}
        self._queues: dict[bytes, list[_Place]] = {}
        """Lists, for most hold one, and each at most some hundred: a deque is ten times as large."""

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, txid: bytes) -> bool:
        return txid in self._places

    @property
    def txids(self) -> KeysView[bytes]:
        """The names of what is being checked, always as they are now."""
        return self._places.keys()

    def entries(self) -> Iterator[Entry]:
        """Yield the entries, in order of arrival."""
        return (place.held.entry for place in self._places.values())

    def hold(self, held: Held) -> None:
        """Keep it until `settle`. Raises Refused: already-in-check; checks-full, which passes in a moment."""
        entry = held.entry
        if entry.txid in self._places:
            raise Refused("already-in-check", "the entry is being checked")
        queue = self._queues.get(entry.sender)
        if len(self._places) >= self._max_entries or (queue and len(queue) >= self._max_per_sender):
            raise Refused("checks-full", "too many entries are being checked", "offer it again in a moment")
        place = self._places[entry.txid] = _Place(held)
        if queue is None:
            self._queues[entry.sender] = [place]
        else:
            queue.append(place)

    def is_next(self, entry: Entry) -> bool:
        """Tell whether an entry that is held waits for no older one of its sender."""
        return self._queues[entry.sender][0].held.entry.txid == entry.txid

    def settle(self, txid: bytes, *, valid: bool) -> list[Checked]:
        """Note a verdict; return what is ready by it, in order of arrival.

        Nothing, while an older entry of the same sender is being checked; with the verdict on that one, all
        that waited for it.
        """
        place = self._places.get(txid)
        if place is None:
            return []
        place.valid = valid
        sender = place.held.entry.sender
        queue, ready = self._queues[sender], []
        for first in queue:
            if first.valid is None:
                break
            del self._places[first.held.entry.txid]
            ready.append(Checked(first.held, first.valid))
        if len(ready) == len(queue):
            del self._queues[sender]
        else:
            del queue[: len(ready)]
        return ready


class Verified:
    """Names of entries whose signatures were checked and are valid (a txid covers the signature); bounded."""

    def __init__(self, bound: int = MAX_VERIFIED) -> None:
        self._txids: Recent[bytes, None] = Recent(bound)

    def __len__(self) -> int:
        return len(self._txids)

    def __contains__(self, txid: bytes) -> bool:
        return txid in self._txids

    @property
    def txids(self) -> KeysView[bytes]:
        """What is in it, always as it is now: for whoever asks for each entry of a block."""
        return self._txids.keys

    def add(self, txid: bytes) -> None:
        self._txids.note(txid, None)
