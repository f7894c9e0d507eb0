"""The file of payment requests in a data folder: `requests.json`, for the owner alone.

Touches that file and a lock beside it, for commands and the page may write at the same time. Written whole:
the old one or the new one, never half of one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from node.asked import Request
from node.ledger.codec import MAX_UINT
from node.private import changing, make_private_folder, read_bounded, replace_private_file

FILE_NAME: Final = "requests.json"
MAX_REQUESTS: Final = 500
"""Kept: the oldest finished ones make room."""

_VERSION: Final = 1
_MAX_BYTES: Final = 1 << 20
"""500 requests with memos of 256 bytes, each escaped, take half of it."""
_NAME: Final = re.compile(r"[0-9a-f]{8}")
_TXID: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = frozenset(field.name for field in fields(Request))


class RequestsError(Exception):
    """The file cannot be used, or has no room; `hint` is the next thing to do."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.code = code
        self.message = message
        self.hint = hint


def read(data_dir: Path) -> list[Request]:
    """Return the requests, the oldest first; none where there is no file. Raises RequestsError, PathError."""
    path = data_dir / FILE_NAME
    try:
        raw = read_bounded(path, _MAX_BYTES)
    except FileNotFoundError:
        return []
    try:
        found = json.loads(raw)
        if found["version"] != _VERSION:
            raise ValueError("another version")
        return [_request(item) for item in found["requests"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        hint = "move it away: requests that were open are forgotten then, payments are not"
        raise RequestsError("bad-requests", f"{path} cannot be used ({error})", hint) from None


def change(data_dir: Path, how: Callable[[list[Request]], Sequence[Request]]) -> list[Request]:
    """Replace the requests by what `how` makes of them, and return that. Raises RequestsError, PathError."""
    make_private_folder(data_dir)
    with changing(data_dir / FILE_NAME):
        before = read(data_dir)
        after = _bounded(how(before))
        if after != before:
            content = {"version": _VERSION, "requests": [asdict(request) for request in after]}
            replace_private_file(data_dir / FILE_NAME, json.dumps(content, indent=1).encode() + b"\n")
        return after


def _bounded(requests: Sequence[Request]) -> list[Request]:
    kept = list(requests)
    while len(kept) > MAX_REQUESTS:
        finished = next((index for index, request in enumerate(kept) if request.is_final), None)
        if finished is None:
            hint = "wait until some are paid or over"
            raise RequestsError("too-many-requests", f"{MAX_REQUESTS} requests are open", hint)
        del kept[finished]
    return kept


def _request(item: dict[str, Any]) -> Request:
    """Return what stands in the file. Raises ValueError, KeyError, TypeError."""
    if set(item) != _KEYS:
        raise ValueError("other fields than those of a request")
    texts = (item["address"], item["memo"], item["name"])
    numbers = (item["amount"], item["created_ms"], item["expires_ms"])
    paid_by = item["paid_by"]
    right = (
        all(type(text) is str for text in texts)
        and all(type(number) is int and 0 <= number <= MAX_UINT for number in numbers)
        and _NAME.fullmatch(item["name"]) is not None
        and (paid_by is None or (type(paid_by) is str and _TXID.fullmatch(paid_by) is not None))
        and type(item["is_final"]) is bool
    )
    if not right:
        raise ValueError("a value of the wrong kind")
    return Request(**item)
