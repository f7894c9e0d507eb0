"""The whole vocabulary between the core and its drivers: events go in, effects come out.

Pure: types only. A driver (the daemon, the simulator) hands each event to `Core.step` with the time, and
carries out the effects in the order given. The gap between any two effects is a legal point to crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from node.storage.port import Batch

NOTHING: Final = 0
"""Batch number for effects that claim nothing, and so wait for nothing. Batches count from 1."""


class Now(NamedTuple):
    """The time, as a driver hands it in."""

    wall_ms: int
    """Unix milliseconds UTC; may jump."""
    mono_ms: int
    """Monotonic milliseconds from any start; deadlines are in these."""


# ---------------------------------------------------------------------------------------------- events


class PeerConnected(NamedTuple):
    """A TCP connection is up."""

    connection: int
    """Number of the driver's choosing, never used again."""
    host: str
    port: int
    dial: int | None
    """The `Dial` it came of; None where they dialled us."""


class DialFailed(NamedTuple):
    """Nobody answered."""

    dial: int
    reason: str


class PeerData(NamedTuple):
    """Bytes came in."""

    connection: int
    data: bytes


class PeerDrained(NamedTuple):
    """Output left: how many of the bytes given to `Send` are still waiting."""

    connection: int
    unsent: int


class PeerGone(NamedTuple):
    """The connection is over, by their hand or the network's. Not sent after `Close`."""

    connection: int
    reason: str


class Persisted(NamedTuple):
    """This batch, and so all before it, is durable."""

    batch: int


class SignaturesChecked(NamedTuple):
    """Answer to `CheckSignatures`."""

    job: int
    valid: tuple[bool, ...]


class Solved(NamedTuple):
    """A worker found a nonce. `job` may be an old one."""

    job: int
    nonce: int


class HashRate(NamedTuple):
    """Hashes per second of all workers; 0 while none works."""

    per_second: int


class Tick(NamedTuple):
    """The deadline that the core named has come (or any other moment: it does no harm)."""


class Continue(NamedTuple):
    """Go on with the jobs at hand; answer to `Again`."""


class Submit(NamedTuple):
    """Signed entries from the local socket; answered in one."""

    request: int
    raws: tuple[bytes, ...]
    replace: bool = False
    """May take the place of a pending entry of the same nonce, for a higher fee; else that nonce is used.

    Two commands that pay at the same moment find the same nonce free: the later one must not undo the first.
    """


class MineBlocks(NamedTuple):
    """`mine N` from the local socket."""

    request: int
    blocks: int


class PeerCommand(NamedTuple):
    """`peer add|remove|ban|unban` from the local socket."""

    request: int
    action: str
    target: str
    """HOST:PORT, or for bans a host or node id in hex."""


class Forget(NamedTuple):
    """Whoever made this request is gone; no answer is wanted, and `mine` stops."""

    request: int


class Shutdown(NamedTuple):
    """Last event: save what is to be saved."""


Event = (
    PeerConnected
    | DialFailed
    | PeerData
    | PeerDrained
    | PeerGone
    | Persisted
    | SignaturesChecked
    | Solved
    | HashRate
    | Tick
    | Continue
    | Submit
    | MineBlocks
    | PeerCommand
    | Forget
    | Shutdown
)

# --------------------------------------------------------------------------------------------- effects


class Dial(NamedTuple):
    """Open a TCP connection; answered by PeerConnected or DialFailed."""

    dial: int
    host: str
    port: int


class Send(NamedTuple):
    """Give these bytes to the connection."""

    connection: int
    data: bytes
    after: int = NOTHING
    """The batch that this claims to be durable; the core sends it only once it is, checkers compare."""


class Close(NamedTuple):
    """Send what is waiting, then close. No PeerGone follows."""

    connection: int
    reason: str


class Persist(NamedTuple):
    """Commit this batch (its journal first); answered by Persisted."""

    batch: Batch


class SavePending(NamedTuple):
    """Write the file of pending entries anew, then empty the journal; in order with Persist."""

    content: bytes


class SavePeers(NamedTuple):
    """Write the peer book anew (new file, then rename)."""

    content: bytes


class CheckSignatures(NamedTuple):
    """Verify on threads; answered by SignaturesChecked."""

    job: int
    items: list[tuple[bytes, bytes, bytes]]
    """(public key, message, signature)."""


class Mine(NamedTuple):
    """Search for a nonce; replaces the job before."""

    job: int
    prefix: bytes
    """The header without its nonce, 84 bytes."""
    target: int


class StopMining(NamedTuple):
    """End the workers."""


class Answer(NamedTuple):
    """Result of a request; JSON-ready."""

    request: int
    result: object
    after: int = NOTHING


class Refuse(NamedTuple):
    """A request refused."""

    request: int
    code: str
    message: str
    hint: str = ""


class Level(IntEnum):
    """How much a notice matters; the numbers are logging's."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Notice(NamedTuple):
    """Something that people may want to see: a line of the log, and an event for `watch`."""

    kind: str
    """Stable name, such as `block-connected`."""
    text: str
    """As people read it: `peer bob: block 1042 9f3c… connected (12 entries, +2 ms)`."""
    level: Level = Level.INFO
    fields: Mapping[str, object] = MappingProxyType({})
    """The same for machines; JSON-ready."""


class Again(NamedTuple):
    """There is more to do at once: let others have a turn, then step with Continue."""


class Halt(NamedTuple):
    """Go on no further: this machine failed us. The process ends with a non-zero status."""

    reason: str
    hint: str


Effect = (
    Dial
    | Send
    | Close
    | Persist
    | SavePending
    | SavePeers
    | CheckSignatures
    | Mine
    | StopMining
    | Answer
    | Refuse
    | Notice
    | Again
    | Halt
)
