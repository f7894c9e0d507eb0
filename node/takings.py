"""What an account took in and paid out in a span of time, and from whom: a day at the counter.

Pure. Made of the items of a history as `query` gives them. What counts for the day is the time of an entry's
block: it belongs to nobody's clock alone, and a day that is over stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from node.answers import Json


class Span(NamedTuple):
    """A span of time: from its first millisecond to before its last; Unix milliseconds."""

    from_ms: int
    to_ms: int

    def holds(self, moment_ms: int) -> bool:
        """Tell whether a moment is in it."""
        return self.from_ms <= moment_ms < self.to_ms


def within(items: Iterable[Json], span: Span) -> Iterator[Json]:
    """Yield those of a history (newest first) whose block is of this span; reads no further than it must."""
    for item in items:
        if item["block_timestamp_ms"] < span.from_ms:
            return  # times of blocks only rise
        if span.holds(item["block_timestamp_ms"]):
            yield item


def takings(address: str, items: Iterable[Json]) -> Json:
    """Return `in`, `out`, `fees` (paid), `rewards`, `entries` and `by` of these items of one account.

    Amounts in smallest units. An item is confirmed, with the `direction` that its history gave it, or
    pending. `by` has one object for each other account: `address`, `in`, `out`, `entries`, the most paid
    first.
    """
    total = {"in": 0, "out": 0, "fees": 0, "rewards": 0, "entries": 0}
    others: dict[str, Json] = {}
    for item in items:
        amount = item["amount"]
        total["entries"] += 1
        if item["sender"] is None:
            total["rewards"] += amount
            continue
        is_sender, is_recipient = item["sender"] == address, item["recipient"] == address
        total["fees"] += item["fee"] if is_sender else 0
        if is_sender and is_recipient:
            continue
        side, other = ("out", item["recipient"]) if is_sender else ("in", item["sender"])
        total[side] += amount
        by = others.setdefault(other, {"address": other, "in": 0, "out": 0, "entries": 0})
        by[side] += amount
        by["entries"] += 1
    by_most = sorted(others.values(), key=lambda by: (-by["in"], -by["out"], by["address"]))
    return total | {"by": by_most}
