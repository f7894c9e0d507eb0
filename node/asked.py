"""Payment requests: what somebody was asked to pay, and which entry paid it.

Pure. An entry pays a request when it goes to its address, carries its memo and at least its amount, and was
signed between its making and its end. One entry pays one request, and one request is paid by one entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from node.answers import Json

State: TypeAlias = Literal["open", "paid", "expired"]

SLACK_MS: Final = 15_000
"""How much earlier than a request the time of its payment may be: the payer's clock may be behind ours."""
LOOKED_FOR_MS: Final = 86_400_000
"""How long after its end a request is still looked for: a payment in time may be mined late."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as it is kept."""

    name: str
    """8 hexadecimal digits, by chance."""
    address: str
    amount: int
    """Smallest units."""
    memo: str
    created_ms: int
    """Unix milliseconds."""
    expires_ms: int
    paid_by: str | None = None
    """Txid of the entry that pays it."""
    is_final: bool = False
    """Its payment is settled, or its time is long over: not looked for again."""

    def state(self, now_ms: int) -> State:
        """Return whether it waits, was paid, or waits no more."""
        if self.paid_by is not None:
            return "paid"
        return "open" if now_ms <= self.expires_ms else "expired"


def is_paid_by(request: Request, entry: Json) -> bool:
    """Tell whether an entry (fields of `tx`) is what a request asks for."""
    return (
        entry["recipient"] == request.address
        and entry["sender"] is not None
        and entry["status"] in ("pending", "confirmed")
        and entry["memo"] == request.memo
        and entry["amount"] >= request.amount
        and request.created_ms - SLACK_MS <= entry["timestamp_ms"] <= request.expires_ms
    )


def match(requests: Sequence[Request], entries: Iterable[Json], now_ms: int) -> list[Request]:
    """Return the requests, in their order, with what pays each of them.

    `entries` are all that could pay one that is not final (see `wanted`), each once. One that is gone from
    them, for it was replaced or its branch lost, pays nothing any more.
    """
    there = {entry["txid"]: entry for entry in entries}
    kept = [_still(request, there, now_ms) for request in requests]
    used = {request.paid_by for request in kept}
    free = [entry for txid, entry in there.items() if txid not in used]
    for entry in sorted(free, key=lambda entry: (entry["timestamp_ms"], entry["txid"])):
        waiting = [
            index
            for index, request in enumerate(kept)
            if request.paid_by is None and not request.is_final and is_paid_by(request, entry)
        ]
        if waiting:
            # Who pays more than one of them asks for means the dearest; of equals, the first made.
            best = max(waiting, key=lambda index: (kept[index].amount, -kept[index].created_ms, -index))
            kept[best] = replace(kept[best], paid_by=entry["txid"])
    return kept


def _still(request: Request, there: dict[str, Json], now_ms: int) -> Request:
    if request.is_final:
        return request
    if request.paid_by is not None and request.paid_by not in there:
        request = replace(request, paid_by=None)
    is_over = request.paid_by is None and now_ms > request.expires_ms + LOOKED_FOR_MS
    return replace(request, is_final=True) if is_over else request


def wanted(requests: Iterable[Request]) -> dict[str, int]:
    """Return address -> the time from which blocks may hold what pays a request that is not final."""
    since: dict[str, int] = {}
    for request in requests:
        if not request.is_final:
            first = request.created_ms - SLACK_MS
            since[request.address] = min(first, since.get(request.address, first))
    return since
