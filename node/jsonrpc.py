"""JSON-RPC 2.0 (https://www.jsonrpc.org/specification), one message a line: text in, calls out, and back.

Pure. Knows the form of messages and of their errors, no method.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

MAX_BATCH: Final = 2_000
"""Calls in one array."""

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
UNKNOWN_METHOD: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
REFUSED: Final = -32000
"""The ledger or the node's policy says no, or there is nothing of that name; `data.code` says which."""
LOCAL_FAULT: Final = -32001
"""This machine failed the caller: its disk, its copy of the book."""

Id: TypeAlias = str | int | None


class RpcError(Exception):
    """An error object: `number` for JSON-RPC, `code` (stable), `message` and `hint` for people."""

    def __init__(self, number: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.number = number
        self.code = code
        self.message = message
        self.hint = hint


class Call(NamedTuple):
    """One call."""

    id: Id
    answered: bool
    """False for a notification, which has no id and gets no answer."""
    method: str
    params: dict[str, Any] | list[Any]


class BadCall(NamedTuple):
    """What should have been a call."""

    id: Id
    error: RpcError


Calls: TypeAlias = "list[Call | BadCall]"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Made once: `json.loads` with a parse_constant would build one for each line.
_decode = json.JSONDecoder(parse_constant=_no_constant).decode
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def parse(line: bytes) -> Call | BadCall | Calls:
    """Return the call on a line, or the calls of its array; a BadCall in the place of one that is wrong."""
    try:
        message = _decode(line.decode())
    except (ValueError, RecursionError) as error:
        hint = 'send one JSON object a line, such as {"jsonrpc":"2.0","id":1,"method":"status"}'
        return BadCall(None, RpcError(PARSE_ERROR, "parse-error", f"not JSON: {_first_line(error)}", hint))
    if type(message) is not list:
        return _call(message)
    if not message:
        return _bad("an array of calls holds at least one")
    if len(message) > MAX_BATCH:
        return _bad(f"{len(message)} calls in one array, at most {MAX_BATCH}")
    return [_call(each) for each in message]


def result_text(call_id: Id, result: object) -> str:
    """Return the answer to a call, without the line's end."""
    return f'{{"jsonrpc":"2.0","id":{_encode(call_id)},"result":{_encode(result)}}}'


def txid_text(call_id: Id, txid: str) -> str:
    """Return the answer {"txid": txid} to a call, by a path of its own: hex digits need no encoder."""
    shown = call_id if type(call_id) is int else _encode(call_id)
    return f'{{"jsonrpc":"2.0","id":{shown},"result":{{"txid":"{txid}"}}}}'


def error_text(call_id: Id, error: RpcError) -> str:
    """Return the refusal of a call, without the line's end."""
    told = {
        "code": error.number,
        "message": error.message,
        "data": {"code": error.code, "hint": error.hint},
    }
    return f'{{"jsonrpc":"2.0","id":{_encode(call_id)},"error":{_encode(told)}}}'


def notification_text(method: str, params: object) -> str:
    """Return a message that nobody answers, without the line's end."""
    return f'{{"jsonrpc":"2.0","method":{_encode(method)},"params":{_encode(params)}}}'


def _call(message: object) -> Call | BadCall:
    if type(message) is not dict:
        return _bad("a call is a JSON object")
    call_id = message.get("id")
    if not (call_id is None or type(call_id) in (str, int)):
        return _bad("an id is text, an integer or null")
    method, params = message.get("method"), message.get("params", {})
    if message.get("jsonrpc") != "2.0":
        return _bad('a call has "jsonrpc": "2.0"', call_id)
    if type(method) is not str:
        return _bad("a call names its method", call_id)
    if type(params) not in (dict, list):
        return _bad("params are an object or an array", call_id)
    return Call(call_id, "id" in message, method, params)


def _bad(message: str, call_id: Id = None) -> BadCall:
    hint = 'a call looks like {"jsonrpc":"2.0","id":1,"method":"status","params":{}}'
    return BadCall(call_id, RpcError(INVALID_REQUEST, "invalid-request", message, hint))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["?"])[0][:200]
