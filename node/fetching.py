"""Entries that peers told of and that are not here yet: asked of one peer at a time, in bounded windows.

Pure. Whoever tells of more than it could have pending is not believed; whoever does not deliver loses its
turn to the others that told of the same entry.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.events import Now

IN_FLIGHT: Final = 1_000
"""Entries asked of one peer and not yet there."""
MAX_BACKLOG: Final = 60_000
"""Entries that one peer told of and that were not asked for yet: more than a node holds pending."""
ANSWER_MS: Final = 10_000
"""An entry that did not come is asked of another peer."""
_LOOK_MS: Final = 1_000


class TooManyTold(Exception):
    """A peer told of more entries than it can have."""


@dataclass(slots=True)
class _Peer:
    backlog: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    asked: int = 0


@dataclass(slots=True)
class _Asked:
    connection: int
    until_ms: int
    others: dict[int, None]
    """Who else told of it."""


class Fetching:
    """What is asked of whom. `ask(connection, txids)` is called with what is to be asked for."""

    def __init__(
        self,
        is_known: Callable[[bytes], bool],
        room: Callable[[], int],
        ask: Callable[[int, Sequence[bytes]], None],
    ) -> None:
        """`is_known(txid)` is true where the entry is not wanted; `room()` entries could be taken in now."""
        self._is_known = is_known
        self._room = room
        self._ask = ask
        self._peers: dict[int, _Peer] = {}
        self._asked: dict[bytes, _Asked] = {}
        self._look_ms = 0

    def opened(self, connection: int) -> None:
        """A peer came."""
        self._peers[connection] = _Peer()

    def closed(self, connection: int, now: Now) -> None:
        """A peer left: what was asked of it is asked of others."""
        if self._peers.pop(connection, None) is None:
            return
        lost = [txid for txid, asked in self._asked.items() if asked.connection == connection]
        for asked in self._asked.values():
            asked.others.pop(connection, None)
        self._pass_on(lost, now)

    def told(self, connection: int, txids: Iterable[bytes], now: Now) -> None:
        """Take what a peer has. Raises TooManyTold."""
        peer = self._peers[connection]
        for txid in txids:
            asked = self._asked.get(txid)
            if asked is not None:
                if asked.connection != connection:
                    asked.others[connection] = None
            elif not self._is_known(txid):
                peer.backlog[txid] = None
        if len(peer.backlog) > MAX_BACKLOG:
            raise TooManyTold
        self._pump(connection, peer, now)

    def came(self, txids: Iterable[bytes], now: Now) -> None:
        """Entries are here, from whomever."""
        freed: dict[int, None] = {}
        for txid in txids:
            asked = self._asked.pop(txid, None)
            if asked is not None and asked.connection in self._peers:
                self._peers[asked.connection].asked -= 1
                freed[asked.connection] = None
        for connection in freed:
            self._pump(connection, self._peers[connection], now)

    def not_found(self, connection: int, txids: Iterable[bytes], now: Now) -> None:
        """A peer has them no more: ask the others."""
        missing = [t for t in txids if t in self._asked and self._asked[t].connection == connection]
        self._pass_on(missing, now)
        if connection in self._peers:
            self._pump(connection, self._peers[connection], now)

    def tick(self, now: Now) -> None:
        """Pass on what did not come in time."""
        if now.mono_ms < self._look_ms:
            return
        self._look_ms = now.mono_ms + _LOOK_MS
        self._pass_on([txid for txid, asked in self._asked.items() if now.mono_ms >= asked.until_ms], now)
        self.go_on(now)

    def deadline(self, now: Now) -> int | None:
        """Return when `tick` is wanted next; monotonic milliseconds."""
        waits = self._asked or any(peer.backlog for peer in self._peers.values())
        return max(self._look_ms, now.mono_ms + 1) if waits else None

    def _pass_on(self, txids: Iterable[bytes], now: Now) -> None:
        """Give these to others that told of them, ahead of what else those told of."""
        taken: dict[int, None] = {}
        for txid in txids:
            asked = self._asked.pop(txid)
            if asked.connection in self._peers:
                self._peers[asked.connection].asked -= 1
            if self._is_known(txid):
                continue
            # All of them, for the first of them may fail too: whoever is not asked now is noted again.
            for connection in [other for other in asked.others if other in self._peers]:
                backlog = self._peers[connection].backlog
                backlog[txid] = None
                backlog.move_to_end(txid, last=False)
                taken[connection] = None
        for connection in taken:
            self._pump(connection, self._peers[connection], now)

    def go_on(self, now: Now) -> None:
        """There may be room again for what peers told of."""
        for connection, peer in self._peers.items():
            if peer.backlog:
                self._pump(connection, peer, now)

    def _pump(self, connection: int, peer: _Peer, now: Now) -> None:
        """Ask for what fits into the window, and into what is still to be checked."""
        wanted: list[bytes] = []
        room = self._room()
        while peer.backlog and peer.asked < IN_FLIGHT and len(wanted) < room:
            txid, _ = peer.backlog.popitem(last=False)
            asked = self._asked.get(txid)
            if asked is not None:
                if asked.connection != connection:
                    asked.others[connection] = None
            elif not self._is_known(txid):
                self._asked[txid] = _Asked(connection, now.mono_ms + ANSWER_MS, {})
                peer.asked += 1
                wanted.append(txid)
        if wanted:
            self._ask(connection, wanted)
