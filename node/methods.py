"""The methods of the local socket: what each takes, and whom it asks; `docs/socket.md` describes them.

Opens nothing and waits for nothing. A method says where its answer comes from: at hand (`Ready`), the stored
book (`Read`, off the event loop), or the core (`Request`). `submit`, `subscribe`, `unsubscribe` and `stop`
concern the connection itself and live in `control`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from node import jsonrpc
from node.answers import Json, Waiting, waiting_fields
from node.corrected import corrections
from node.corrections import reference_of
from node.events import Event, Level, MineBlocks, PeerCommand
from node.jsonrpc import RpcError
from node.ledger.address import AddressError, decode_address, encode_address
from node.ledger.block import network_id
from node.ledger.codec import MAX_UINT
from node.ledger.entry import MAX_ENTRY_BYTES, Entry
from node.ledger.params import MAX_HEIGHT, Parameters
from node.query import MAX_BLOCKS, MAX_ENTRIES, After, Book, Query
from node.weighing import Seen

MAX_MINED: Final = 100_000
"""Blocks in one `mine`."""

PEER_ACTIONS: Final = ("add", "remove", "ban", "unban")

LEVELS: Final = {"debug": Level.DEBUG, "info": Level.INFO, "warning": Level.WARNING, "error": Level.ERROR}
"""Names of levels, as `subscribe` takes them and events carry them."""

_MAX_TARGET: Final = 300
"""Characters of a peer's name: a host name has at most 253."""

_REQUIRED: Final = object()


class ReadBook(Book, Protocol):
    """A book opened for one question. A read raises StorageFault."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Within it, all reads see one state, whatever is written meanwhile."""

    def close(self) -> None:
        """Free it."""


class Node(Protocol):
    """What the socket asks of the daemon. Called on the event loop, and returns at once, but for `open_book`.

    What waits in memory is told until the block that holds it is durable, so that nothing is unknown between.
    """

    @property
    def parameters(self) -> Parameters:
        """Of the network."""

    @property
    def data_dir(self) -> Path:
        """The data folder; its wallets are where `send` looks for keys."""

    @property
    def wallet(self) -> str:
        """Name of the wallet that mining pays to."""

    @property
    def public_key(self) -> bytes:
        """Of that wallet, 32 bytes: whose balance and history are meant when nobody is named."""

    def status(self) -> Json:
        """Return the fields of `status`; durable facts only."""

    def peers(self) -> list[Json]:
        """Return the fields of `peers`, one object a peer."""

    def settings(self) -> list[Json]:
        """Return the fields of `config`, one object a setting."""

    def pending(self) -> Sequence[Entry]:
        """Return the pending entries."""

    def pending_of(self, key: bytes) -> Sequence[Entry]:
        """Return the pending entries whose sender or recipient the key is."""

    def waiting(self, txid: bytes) -> Waiting | None:
        """Return what is known of an entry that is in no block: pending, or it lost its place to another."""

    def seen(self, txid: bytes) -> Seen:
        """Return what this node sees of an entry beyond its book: peers that have it, clock, sync."""

    def audit(self) -> Json:
        """Return what the audit in the background found, and what the last healing came to."""

    def heal(self) -> Json:
        """Begin to stop, mend the book, and start again."""

    def open_book(self) -> ReadBook:
        """Open the durable book for reading. Called on another thread."""

    def post(self, event: Event) -> None:
        """Hand an event to the core."""

    def stop(self) -> None:
        """Begin to shut down."""


class Ready(NamedTuple):
    """The answer is at hand."""

    result: object


class Read(NamedTuple):
    """The stored book knows."""

    question: Callable[[Query], object]


class Request(NamedTuple):
    """The core knows: the event that asks it, given the number of the request."""

    event: Callable[[int], Event]


Outcome: TypeAlias = Ready | Read | Request
Arguments: TypeAlias = Mapping[str, Any]


class Param(NamedTuple):
    """One parameter of a method."""

    name: str
    check: Callable[[object], object]
    """Returns the value as used; raises ValueError saying what is wanted."""
    default: object = _REQUIRED


@dataclass(frozen=True, slots=True)
class Method:
    """What a method takes and does."""

    params: tuple[Param, ...]
    run: Callable[[Node, Arguments], Outcome]


# ----------------------------------------------------------------------------------------- parameters


def _uint(least: int, most: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"an integer from {least} to {most}")
        return value

    return check


def _hash(value: object) -> bytes:
    raw = _from_hex(value, 32)
    if raw is None or len(raw) != 32:
        raise ValueError("64 hexadecimal digits")
    return raw


def _height_or_hash(value: object) -> int | bytes:
    if type(value) is int and 0 <= value <= MAX_HEIGHT:
        return value
    try:
        return _hash(value)
    except ValueError:
        raise ValueError("a height (an integer) or a hash (64 hexadecimal digits)") from None


def _boolean(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError("true or false")
    return value


def _text(longest: int) -> Callable[[object], str]:
    def check(value: object) -> str:
        if type(value) is not str or not 1 <= len(value) <= longest:
            raise ValueError(f"text of 1 to {longest} characters")
        return value

    return check


def _one_of(choices: Sequence[str]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if type(value) is not str or value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return value

    return check


def _after(value: object) -> After:
    wanted = "height, position, block and balance of the last item seen"
    if type(value) is not dict:
        raise ValueError(wanted)
    try:
        height = _uint(0, MAX_HEIGHT)(value.get("height"))
        position, balance = (_uint(0, MAX_UINT)(value.get(name)) for name in ("position", "balance"))
        return After(height, position, _hash(value.get("block")), balance)
    except ValueError:
        raise ValueError(wanted) from None


def _from_hex(value: object, most: int) -> bytes | None:
    """Return the bytes of hexadecimal text of at most `most` bytes, None for anything else."""
    if type(value) is not str or len(value) > 2 * most:
        return None
    try:
        raw = bytes.fromhex(value)
    except ValueError:
        return None
    return raw if 2 * len(raw) == len(value) else None  # else there were spaces, which it passes over


class Submission(NamedTuple):
    """What `submit` hands over."""

    raw: bytes
    """The signed entry."""
    replace: bool
    """As for `events.Submit`."""


def submission_of(params: dict[str, Any] | list[Any]) -> Submission:
    """Return what the params of `submit` hold; on a path of its own, for it is called most. RpcError."""
    replace = False
    match params:
        case {"entry": value, "replace": bool(replace)} if len(params) == 2:
            raw = _from_hex(value, MAX_ENTRY_BYTES)
        case {"entry": value} | [value] if len(params) == 1:
            raw = _from_hex(value, MAX_ENTRY_BYTES)
        case [value, bool(replace)]:
            raw = _from_hex(value, MAX_ENTRY_BYTES)
        case _:
            raw = None
    if not raw:
        message = (
            f"submit takes `entry` (the signed entry, at most {MAX_ENTRY_BYTES} bytes in hexadecimal) "
            "and, where wanted, `replace` (true or false)"
        )
        raise _wrong(message)
    return Submission(raw, replace)


def arguments(name: str, params: Sequence[Param], given: dict[str, Any] | list[Any]) -> Arguments:
    """Return the checked parameters of method `name` by name, defaults filled in. Raises RpcError."""
    names = [param.name for param in params]
    if isinstance(given, list):
        if len(given) > len(params):
            raise _wrong(f"{name} takes at most {len(params)} parameters, not {len(given)}")
        given = dict(zip(names, given, strict=False))
    for unknown in given:
        if unknown not in names:
            raise _wrong(f"{name} has no parameter {unknown[:40]!a}", _nearest(unknown, names))
    found = {}
    for param in params:
        value = given.get(param.name)
        if value is None:
            if param.default is _REQUIRED:
                raise _wrong(f"{name} needs `{param.name}`")
            found[param.name] = param.default
            continue
        try:
            found[param.name] = param.check(value)
        except ValueError as error:
            raise _wrong(f"`{param.name}` of {name} is not {error}") from None
    return found


def method_of(name: str) -> Method:
    """Return the method of this name. Raises RpcError with the nearest known name."""
    method = METHODS.get(name)
    if method is None:
        known = [*METHODS, "submit", "subscribe", "unsubscribe", "stop"]
        hint = _nearest(name, known) or "docs/socket.md lists them"
        raise RpcError(jsonrpc.UNKNOWN_METHOD, "unknown-method", f"there is no method {name[:40]!a}", hint)
    return method


def _wrong(message: str, hint: str = "") -> RpcError:
    return RpcError(jsonrpc.INVALID_PARAMS, "invalid-params", message, hint or "see docs/socket.md")


def _nearest(name: str, known: Sequence[str]) -> str:
    # Here and not at the top: only a mistake needs it, and a node should start fast.
    from difflib import get_close_matches  # noqa: PLC0415

    found = get_close_matches(name[:40], known, 1)
    return f"did you mean {found[0]}?" if found else ""


# -------------------------------------------------------------------------------------------- methods


def _key_of(node: Node, arguments: Arguments) -> bytes:
    """Return the key of the address given, the node's own where none is."""
    address = arguments["address"]
    if address is None:
        return node.public_key
    try:
        return decode_address(node.parameters.prefix, address)
    except AddressError as error:
        raise RpcError(jsonrpc.INVALID_PARAMS, error.code, error.message, error.hint) from None


def _info(node: Node, _: Arguments) -> Outcome:
    parameters = node.parameters
    return Ready(
        {
            "network": parameters.name,
            "network_id": network_id(parameters).hex(),
            "prefix": parameters.prefix,
            "symbol": parameters.symbol,
            "decimals": parameters.decimals,
            "interval_ms": parameters.interval_ms,
            "minimum_fee": parameters.minimum_fee,
            "reward": parameters.reward(int(node.status()["height"]) + 1),
            "data_dir": str(node.data_dir),
            "wallet": node.wallet,
            "address": encode_address(parameters.prefix, node.public_key),
        }
    )


def _pending(node: Node, arguments: Arguments) -> Outcome:
    first, prefix = arguments["offset"], node.parameters.prefix
    of_one = arguments["address"] is not None
    entries = list(node.pending_of(_key_of(node, arguments)) if of_one else node.pending())

    # On a thread: sorting, and a checksum for each address, are work, and the loop has others waiting.
    def page(_: Query) -> list[Json]:
        entries.sort(key=lambda entry: (entry.timestamp_ms, entry.txid))
        shown = entries[first : first + arguments["limit"]]
        return [waiting_fields(entry.txid, Waiting("pending", entry), prefix) for entry in shown]

    return Read(page)


def _tx(node: Node, arguments: Arguments) -> Outcome:
    txid = arguments["txid"]
    waiting = node.waiting(txid)
    seen = node.seen(txid)
    if not arguments["corrections"]:
        return Read(lambda query: query.weighed(txid, waiting, seen))
    prefix = node.parameters.prefix
    related = [entry for entry in node.pending() if entry.txid == txid or reference_of(entry.memo)]

    def read(query: Query) -> Json:
        found = query.weighed(txid, waiting, seen)
        pending = [waiting_fields(entry.txid, Waiting("pending", entry), prefix) for entry in related]
        return found | corrections(query, prefix, found, pending)

    return Read(read)


def _history(node: Node, arguments: Arguments) -> Outcome:
    key = _key_of(node, arguments)
    return Read(lambda query: query.history(key, arguments["limit"], arguments["after"]))


def _balance(node: Node, arguments: Arguments) -> Outcome:
    key = _key_of(node, arguments)
    waiting = node.pending_of(key)
    return Read(lambda query: query.balance(key, waiting))


def _blocks(_: Node, arguments: Arguments) -> Outcome:
    return Read(lambda query: query.blocks(arguments["limit"], arguments["before"]))


def _block(_: Node, arguments: Arguments) -> Outcome:
    return Read(lambda query: query.block(arguments["name"]))


def _mine(_: Node, arguments: Arguments) -> Outcome:
    return Request(lambda request: MineBlocks(request, arguments["count"]))


def _peer(_: Node, arguments: Arguments) -> Outcome:
    return Request(lambda request: PeerCommand(request, arguments["action"], arguments["target"]))


_ADDRESS: Final = Param("address", _text(120), None)

SUBSCRIBE_PARAMS: Final = (Param("level", _one_of(tuple(LEVELS)), "info"),)
"""Of `subscribe`; `unsubscribe` and `stop` take none."""

METHODS: Final[Mapping[str, Method]] = {
    "status": Method((), lambda node, _: Ready(node.status())),
    "info": Method((), _info),
    "pending": Method(
        (
            Param("limit", _uint(1, MAX_ENTRIES), MAX_ENTRIES),
            Param("offset", _uint(0, MAX_UINT), 0),
            _ADDRESS,
        ),
        _pending,
    ),
    "tx": Method((Param("txid", _hash), Param("corrections", _boolean, default=False)), _tx),
    "blocks": Method(
        (
            Param("limit", _uint(1, MAX_BLOCKS), 20),
            Param("before", _uint(0, MAX_HEIGHT + 1), None),
        ),
        _blocks,
    ),
    "block": Method((Param("name", _height_or_hash),), _block),
    "history": Method(
        (_ADDRESS, Param("limit", _uint(1, MAX_ENTRIES), 20), Param("after", _after, None)), _history
    ),
    "balance": Method((_ADDRESS,), _balance),
    "tips": Method((), lambda _, __: Read(lambda query: query.tips())),
    "mine": Method((Param("count", _uint(1, MAX_MINED), 1),), _mine),
    "peers": Method((), lambda node, _: Ready(node.peers())),
    "peer": Method(
        (Param("action", _one_of(PEER_ACTIONS)), Param("target", _text(_MAX_TARGET))),
        _peer,
    ),
    "config": Method((), lambda node, _: Ready(node.settings())),
    "audit": Method((), lambda node, _: Ready(node.audit())),
    "heal": Method((), lambda node, _: Ready(node.heal())),
}
"""By name, but for those that `control` answers itself."""
