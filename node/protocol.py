"""One connection to a peer, without the I/O: bytes in, messages or a named fault out.

Pure. A frame is u32 length (of what follows), u8 type, payload. Each state of a connection has its own
table of legal types, each type its own longest payload, known before the payload is read. Feeding the
bytes whole or one by one gives the same. When a peer has been silent for too long is the core's matter.

    the one who dials                    the one who is dialled
    HELLO ------------------------------>
          <------------------------------ HELLO
    AUTH  ------------------------------>
          <------------------------------ AUTH
    anything else, both ways, from here on
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import Enum, StrEnum
from typing import Final

from node import frames
from node.frames import FRAME, BadPayload, OtherVersion
from node.ledger import signature
from node.ledger.params import Parameters
from node.messages import FIRST_IGNORED, NEEDS, Auth, Feature, Hello, Message, Type

AUTH_TAG: Final = b"indelible/auth/1\x00"
"""Says what is signed, beside the tags of entries and votes: no signature serves twice."""

MAX_IGNORED: Final = 1 << 16
"""The longest payload of an unknown type that is skipped; bytes."""
MAX_STRANGER: Final = 1 << 10
"""The longest payload of any type before HELLO is done; bytes."""


class State(Enum):
    """What the peer has still to say, or that it may say anything."""

    HELLO = "waits for HELLO"
    AUTH = "waits for AUTH"
    OPEN = "open"
    BROKEN = "broken"


LEGAL: Final[Mapping[State, frozenset[Type]]] = {
    State.HELLO: frozenset({Type.HELLO}),
    State.AUTH: frozenset({Type.AUTH}),
    State.OPEN: frozenset(
        {
            Type.PING,
            Type.PONG,
            Type.GET_ADDRESSES,
            Type.ADDRESSES,
            Type.REJECT,
            Type.INVENTORY,
            Type.GET_DATA,
            Type.NOT_FOUND,
            Type.ENTRIES,
            Type.GET_HEADERS,
            Type.HEADERS,
            Type.BLOCK,
            Type.COMPACT_BLOCK,
            Type.GET_BLOCK_ENTRIES,
            Type.BLOCK_ENTRIES,
        }
    ),
    State.BROKEN: frozenset(),
}
"""What the peer may say in each state; of these, the types of `NEEDS` only where their feature is agreed on.

Types from 128 on that nobody knows are skipped in every state."""


class Fault(StrEnum):
    """The stable code of each way in which a peer can break the protocol."""

    FRAME_EMPTY = "frame-empty"
    FRAME_TOO_LONG = "frame-too-long"
    UNKNOWN_TYPE = "unknown-type"
    BAD_PAYLOAD = "bad-payload"
    BEFORE_HANDSHAKE = "before-handshake"
    HELLO_TWICE = "hello-twice"
    AUTH_TWICE = "auth-twice"
    WRONG_VERSION = "wrong-version"
    WRONG_NETWORK = "wrong-network"
    SELF_CONNECTION = "self-connection"
    SAME_IDENTITY = "same-identity"
    BAD_AUTH = "bad-auth"


COSTS: Final[Mapping[Fault, int]] = {
    # No honest program does these.
    Fault.FRAME_EMPTY: 100,
    Fault.FRAME_TOO_LONG: 100,
    Fault.UNKNOWN_TYPE: 100,
    Fault.BAD_PAYLOAD: 100,
    Fault.BEFORE_HANDSHAKE: 100,
    Fault.HELLO_TWICE: 100,
    Fault.AUTH_TWICE: 100,
    Fault.BAD_AUTH: 100,
    # Honest people do these: another book, an older program, one's own address in the list, a copied folder.
    Fault.WRONG_VERSION: 0,
    Fault.WRONG_NETWORK: 0,
    Fault.SELF_CONNECTION: 0,
    Fault.SAME_IDENTITY: 0,
}
"""What each costs the peer: at 100 it is banned; smaller ones add up. All of them end the connection."""

STRANGER_COST: Final = 10
"""The most that a fault in place of HELLO costs: it may be a browser, from the host of a friend."""


class PeerFault(Exception):
    """The peer did what the protocol forbids; this connection is over."""

    __slots__ = ("code", "cost", "detail")

    def __init__(self, code: str, cost: int, detail: str) -> None:
        """`cost`: 0 to 100; 100 bans at once."""
        super().__init__(code, cost, detail)
        self.code = code
        self.cost = cost
        self.detail = detail

    def __str__(self) -> str:
        """Code first, as in logs."""
        return f"{self.code}: {self.detail}"


def auth_message(network_id: bytes, dialler: bytes, dialled: bytes, *, by_dialler: bool) -> bytes:
    """Return what AUTH signs: tag, network id, SHA-256 of both HELLO payloads (the dialler's first), role.

    Both nonces are in it, so it is good for one connection; the role, so that it cannot be sent back.
    """
    role = b"\x01" if by_dialler else b"\x02"
    hashes = hashlib.sha256(dialler).digest() + hashlib.sha256(dialled).digest()
    return b"".join((AUTH_TAG, network_id, hashes, role))


class Connection:
    """Our end of one connection.

    Send what `outgoing` gives after making one and after each `receive`, ahead of anything else.
    """

    def __init__(
        self,
        *,
        dialled: bool,
        hello: Hello,
        sign: Callable[[bytes], bytes],
        parameters: Parameters,
        own_nonces: Collection[bytes] = (),
    ) -> None:
        """`dialled`: it was us who dialled. `hello`: ours, its nonce fresh. `sign`: by its identity.

        `own_nonces`: those of our other connections; looked at when HELLO comes, so it may be a live view.
        """
        self._dialled = dialled
        self._ours = hello
        self._sign = sign
        self._own_nonces = own_nonces
        self._limits = frames.limits(parameters)
        self._state = State.HELLO
        self._fault: PeerFault | None = None
        self._claimed: Hello | None = None
        self._peer: Hello | None = None
        self._buffer = bytearray()
        self._at = 0
        frame = frames.encode(hello)
        self._our_payload = frame[FRAME.size :]
        self._their_payload = b""
        self._outgoing = [frame]

    @property
    def is_open(self) -> bool:
        """True once the peer's identity is proven, and until it breaks the protocol."""
        return self._state is State.OPEN

    @property
    def peer(self) -> Hello:
        """The peer's HELLO, its identity proven. Raises RuntimeError where it is not (yet)."""
        if self._peer is None:
            raise RuntimeError("the peer has not proven who it is")
        return self._peer

    @property
    def identity(self) -> bytes:
        """The peer's proven key, 32 bytes. Raises RuntimeError where it is not proven (yet)."""
        return self.peer.identity

    @property
    def rules_differ(self) -> bool:
        """True where the peer's list of upgrades is not ours: it will part from us at some height."""
        return self.peer.rules_hash != self._ours.rules_hash

    def agreed(self, feature: Feature) -> bool:
        """True where both sides have set this feature."""
        return self._peer is not None and bool(self._ours.features & self._peer.features & feature)

    def outgoing(self) -> bytes:
        """Return the bytes of the handshake to be sent now, once."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def receive(self, data: bytes) -> Iterator[Message]:
        """Take bytes in; yield the messages they complete. The first is the peer's Hello, once it is proven.

        Raises PeerFault from the iteration, in its place: the messages before it have been yielded by then;
        and again from each later call. An iteration left off is taken up by the next call (`b""` will do).
        """
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data
        return self._messages()

    def _messages(self) -> Iterator[Message]:
        if self._fault is not None:
            raise self._fault
        try:
            while (frame := self._next_frame()) is not None:
                message = self._read(*frame)
                if message is not None:
                    yield message
        except PeerFault as fault:
            self._fault = fault
            self._state = State.BROKEN
            self._buffer.clear()
            self._at = 0
            raise

    def _next_frame(self) -> tuple[int, bytes] | None:
        """Cut off the next whole frame; its first five bytes are judged before the rest is there."""
        start = self._at + FRAME.size
        length = int.from_bytes(self._buffer[self._at : start - 1], "big")
        if len(self._buffer) >= start - 1 and length == 0:
            raise self._blame(Fault.FRAME_EMPTY, "a frame of no bytes")
        if len(self._buffer) < start:
            return None
        number = self._buffer[start - 1]
        self._check_type(number)
        longest = self._longest(number)
        if length - 1 > longest:
            raise self._blame(
                Fault.FRAME_TOO_LONG, f"type {number} of {length - 1} bytes, at most {longest} here"
            )
        end = start + length - 1
        if len(self._buffer) < end:
            return None
        self._at = end
        with memoryview(self._buffer) as view:
            return number, bytes(view[start:end])

    def _check_type(self, number: int) -> None:
        needed = NEEDS.get(number)
        is_known = number in self._limits and (needed is None or self.agreed(needed))
        if number >= FIRST_IGNORED or (is_known and number in LEGAL[self._state]):
            return
        if not is_known:
            raise self._blame(Fault.UNKNOWN_TYPE, f"type {number}")
        name = Type(number).name
        if self._state is not State.HELLO and number == Type.HELLO:
            raise self._blame(Fault.HELLO_TWICE, "a second HELLO")
        if self._state is State.OPEN:
            raise self._blame(Fault.AUTH_TWICE, f"{name} after the handshake")
        raise self._blame(Fault.BEFORE_HANDSHAKE, f"{name} from one that {self._state.value}")

    def _longest(self, number: int) -> int:
        longest = self._limits.get(number, MAX_IGNORED)
        return min(longest, MAX_STRANGER) if self._state is State.HELLO else longest

    def _read(self, number: int, payload: bytes) -> Message | None:
        if number >= FIRST_IGNORED:
            return None
        try:
            message = frames.decode(Type(number), payload)
        except OtherVersion as error:
            raise self._blame(Fault.WRONG_VERSION, str(error)) from None
        except BadPayload as error:
            raise self._blame(Fault.BAD_PAYLOAD, f"{Type(number).name}: {error}") from None
        if isinstance(message, Hello):
            self._greet(message, payload)
            return None
        if isinstance(message, Auth):
            return self._prove(message)
        return message

    def _greet(self, peer: Hello, payload: bytes) -> None:
        ours = self._ours
        if peer.network_id != ours.network_id:
            raise self._blame(
                Fault.WRONG_NETWORK,
                f"it keeps the book {peer.network_id.hex()}, this node {ours.network_id.hex()}",
            )
        if peer.nonce == ours.nonce or peer.nonce in self._own_nonces:
            raise self._blame(Fault.SELF_CONNECTION, "this node has reached itself")
        if peer.identity == ours.identity:
            raise self._blame(
                Fault.SAME_IDENTITY, "another node runs with this node's identity: a data folder was copied"
            )
        self._claimed = peer
        self._their_payload = payload
        self._outgoing.append(frames.encode(Auth(self._sign(self._auth_by(dialler=self._dialled)))))
        self._state = State.AUTH

    def _prove(self, auth: Auth) -> Hello:
        peer = self._claimed
        if peer is None:
            raise RuntimeError("AUTH is legal after HELLO only")
        if not signature.verify(peer.identity, self._auth_by(dialler=not self._dialled), auth.signature):
            raise self._blame(Fault.BAD_AUTH, f"not signed by the identity {peer.identity.hex()}")
        self._peer = peer
        self._state = State.OPEN
        return peer

    def _auth_by(self, *, dialler: bool) -> bytes:
        pair = (self._our_payload, self._their_payload)
        first, second = pair if self._dialled else pair[::-1]
        return auth_message(self._ours.network_id, first, second, by_dialler=dialler)

    def _blame(self, code: Fault, detail: str) -> PeerFault:
        cost = COSTS[code]
        return PeerFault(code, min(cost, STRANGER_COST) if self._state is State.HELLO else cost, detail)
