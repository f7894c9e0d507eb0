"""Fuzz targets over what peers say: payloads by type, and the stream of a connection; and the local socket.

Pure but for the vectors' files. Bytes in, nothing out: a target that returns has seen its invariant hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from node import frames, jsonrpc
from node.frames import BadPayload, OtherVersion
from node.jsonrpc import BadCall, Call
from node.ledger.params import BUILT_IN
from node.messages import Hello, Message, Type
from node.protocol import Connection, Fault, PeerFault
from tests.vectors.read import read, unhex

_WIRE: Final = read("wire.json")
_REFUSED: Final = read("wire_refused.json")
_HEAD: Final = 5
_FIRST_IGNORED: Final = 128
_LIMITS: Final = {one["name"]: one["limit"] for one in _WIRE["types"]}
_BLOCK_LIMIT: Final = (1 << 20) + (1 << 10)

_STAGES: Final = ("hello", "auth", "open", "compact")
_SIDES: Final = ("dialler", "dialled")
_HANDSHAKES: Final = {stage: "compact_handshake" if stage == "compact" else "handshake" for stage in _STAGES}
_FROM: Final = {
    (stage, side): unhex(*(_WIRE[name][side][f"{frame}_frame"] for frame in ("hello", "auth")))
    for stage, name in _HANDSHAKES.items()
    for side in _SIDES
}
"""The two frames of each side's handshake."""

_LINES: Final = (
    b'{"jsonrpc":"2.0","id":1,"method":"status"}',
    b'{"jsonrpc":"2.0","id":"a","method":"submit","params":{"entry":"99"}}',
    b'[{"jsonrpc":"2.0","method":"tip","params":[1,2.5,null,true,"\\ud800"]},{"id":2},7,[]]',
    b'{"jsonrpc":"2.0","id":99999999999999999999,"method":"block","params":{"height":-1e999}}',
    b"[]",
    b'{"jsonrpc":"2.0","id":1.5,"method":"status"}',
    b'{"jsonrpc":"2.0","id":null,"method":"status","params":NaN}',
)


def payload(number: Type, data: bytes) -> None:
    """Any payload is a message of its type, which is written as those bytes again, or a named error.

    The errors: another protocol version (HELLO alone), or a payload that is not what its type says.
    """
    if len(data) > (_LIMITS[number.name] or _BLOCK_LIMIT):
        return  # a connection does not read it
    try:
        message = frames.decode(number, data)
    except OtherVersion:
        assert number is Type.HELLO
        return
    except BadPayload:
        return
    assert frames.encode(message) == (len(data) + 1).to_bytes(4, "big") + bytes([number]) + data


def stream(data: bytes) -> None:
    """Any bytes in any state of a connection give messages, then at most one fault of a documented code.

    They are the same whole, byte by byte and in pieces; each message is written as the frame that it came in.
    The first byte says on which side and in which state of the handshake, the second how the rest is cut.
    """
    if len(data) < 2:
        return
    side, stage = _SIDES[data[0] % 2], _STAGES[data[0] // 2 % 4]
    said = data[2:]
    whole = _heard(side, stage, [said])
    assert _heard(side, stage, _pieces(said, 1)) == whole
    assert _heard(side, stage, _pieces(said, 2 + data[1])) == whole
    messages, fault = whole
    if fault is not None:
        assert fault[0] in set(Fault)
        assert 0 <= fault[1] <= 100
    told = [frame for frame in _frames(said) if frame[4] < _FIRST_IGNORED]
    if stage not in _OPEN:
        # HELLO and AUTH together give one message, the HELLO whose proof has come.
        proven = _FROM[stage, _other(side)][0] if stage == "auth" else b"".join(told[:1])
        told = [proven, *told[1 if stage == "auth" else 2 :]]
    assert [frames.encode(message) for message in messages] == told[: len(messages)]
    assert fault is not None or stage not in _OPEN or len(messages) == len(told)


def line(data: bytes) -> None:
    """Any line to the local socket is calls or refusals; the answer to each is one line with its id."""
    parsed = jsonrpc.parse(data)
    for one in parsed if isinstance(parsed, list) else [parsed]:
        assert isinstance(one, Call | BadCall)
        if isinstance(one, BadCall):
            text = jsonrpc.error_text(one.id, one.error)
            assert one.error.number in {-32700, -32600}
        else:
            text = jsonrpc.result_text(one.id, "taken")
        answer: dict[str, Any] = json.loads(text)
        assert answer["id"] == one.id
        assert "\n" not in text


def payload_seeds(number: Type) -> list[bytes]:
    """Return the payloads of this type in the vectors, good and bad."""
    known = [case["frame"] for case in _WIRE["messages"]] + [case["bytes"] for case in _REFUSED["refused"]]
    found = [frame for raw in unhex(*known) for frame in _frames(raw) if frame[4] == number]
    if number is Type.AUTH:
        found += [auth for _, auth in _FROM.values()]
    return [frame[_HEAD:] for frame in found]


def stream_seeds() -> list[bytes]:
    """Return what the vectors say in each state, good and bad, and whole conversations."""
    every = b"".join(unhex(*(case["frame"] for case in _WIRE["messages"] if case["type"] not in _GREETING)))
    found = [_opening(side, stage) + every for side in _SIDES for stage in _OPEN]
    for side in _SIDES:
        hello, auth = _FROM["hello", _other(side)]
        found += [_opening(side, "hello") + hello + auth + every[:400], _opening(side, "auth") + auth]
    for case in (*_REFUSED["refused"], *_REFUSED["skipped"]):
        found.append(_opening(case["we"], case["stage"]) + bytes.fromhex(case["bytes"]))
    return found


def line_seeds() -> list[bytes]:
    """Return lines that clients may send, and some that none should."""
    return list(_LINES)


_GREETING: Final = ("HELLO", "AUTH")
_OPEN: Final = ("open", "compact")
"""The handshake is done; in the second, both sides have feature bit 0."""


def _opening(side: str, stage: str) -> bytes:
    return bytes([_SIDES.index(side) + 2 * _STAGES.index(stage), 3])


def _other(side: str) -> str:
    return _SIDES[1 - _SIDES.index(side)]


def _pieces(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def _frames(data: bytes) -> Iterator[bytes]:
    """Yield the whole frames at the start of a stream; ends where the rest is none."""
    at = 0
    while at + _HEAD <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end < at + _HEAD or end > len(data):
            return
        yield data[at:end]
        at = end


def _connection(side: str, stage: str) -> Connection:
    hello = frames.decode(Type.HELLO, _FROM[stage, side][0][_HEAD:])
    assert isinstance(hello, Hello)
    ours = Connection(dialled=side == "dialler", hello=hello, sign=lambda _: bytes(64), parameters=BUILT_IN)
    before = _FROM[stage, _other(side)][: _STAGES.index(stage)]
    list(ours.receive(b"".join(before)))
    return ours


def _heard(
    side: str, stage: str, pieces: Iterable[bytes]
) -> tuple[list[Message], tuple[str, int, str] | None]:
    """Return the messages and the fault that ended the connection."""
    ours = _connection(side, stage)
    messages: list[Message] = []
    for piece in pieces:
        try:
            for message in ours.receive(piece):
                messages.append(message)  # noqa: PERF402 - extend would lose those before a fault
        except PeerFault as fault:
            assert not ours.is_open
            return messages, (fault.code, fault.cost, fault.detail)
    return messages, None
