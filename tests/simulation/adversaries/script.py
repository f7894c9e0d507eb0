"""What one kind of adversary does: the places in the life of an `Adversary` where it has a say. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.messages import Hello, Message
from node.protocol import Connection


@dataclass(slots=True, eq=False)
class Line:
    """A connection to a node."""

    number: int
    link: Connection
    host: str
    """Of the other side."""
    is_dialled: bool
    """It was the adversary who dialled."""
    is_open: bool = False
    """Its handshake is done."""
    held: bytearray | None = None
    """Where not None: what is said is put here, and sent when the script says so."""


def _nothing(*_: object) -> None:
    pass


def _never(*_: object) -> bool:
    return False


def _as_it_is(hello: Hello) -> Hello:
    return hello


@dataclass(slots=True)
class Script:
    """What one kind of adversary does; what is left out is done as by an honest peer that has no blocks."""

    act: Callable[[], None] = _nothing
    """Called again and again, on average every `every_ms`."""
    every_ms: int = 0
    """0 is never."""
    find: Callable[[], None] = _nothing
    """Called when its share of the hash rate has found a block; no more when the trouble is over."""
    mines: bool = False
    opened: Callable[[Line], None] = _nothing
    """Called when a handshake is done."""
    answers: Callable[[Line, Message], bool] = _never
    """Called with each message; True where nothing else is to be done about it."""
    greets: Callable[[Hello], Hello] = _as_it_is
    """Changes what it says first."""
    begins: Callable[[Line], bool] = _never
    """Called with each new connection; True where it shall not say HELLO."""
    reads: Callable[[Line, bytes], bool] = _never
    """Called with all bytes that come in; True where they are not to be read as messages."""
    learnt: Callable[[], None] = _nothing
    """Called when its view has a new tip."""
    rests: Callable[[], None] = _nothing
    """Called when the trouble is over."""
    wants_bodies: bool = False
    """Asks for the blocks that it is told of."""
    wants_entries: bool = False
    signs: Callable[[bytes], bytes] | None = None
    """Signs AUTH; None: as it should be."""
