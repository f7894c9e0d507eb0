"""A day's takings: what counts for it, and by whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from node.takings import Span, takings, within

ME, ANN, BOB = "me", "ann", "bob"


def item(sender: str | None, recipient: str, amount: int, *, fee: int = 1, at: int = 0) -> dict[str, Any]:
    return {
        "sender": sender,
        "recipient": recipient,
        "amount": amount,
        "fee": 0 if sender is None else fee,
        "block_timestamp_ms": at,
    }


def test_sums_tell_what_came_in_what_went_out_and_what_it_cost() -> None:
    found = takings(
        ME,
        [
            item(ANN, ME, 700),
            item(BOB, ME, 300),
            item(ANN, ME, 50, fee=9),
            item(ME, BOB, 100, fee=2),
            item(ME, ME, 5, fee=3),
            item(None, ME, 5_000),
        ],
    )
    assert found == {
        "in": 1_050,
        "out": 100,
        "fees": 5,
        "rewards": 5_000,
        "entries": 6,
        "by": [
            {"address": ANN, "in": 750, "out": 0, "entries": 2},
            {"address": BOB, "in": 300, "out": 100, "entries": 2},
        ],
    }


def test_a_day_without_entries_is_all_zeros() -> None:
    assert takings(ME, []) == {"in": 0, "out": 0, "fees": 0, "rewards": 0, "entries": 0, "by": []}


def test_a_span_has_its_first_moment_and_not_its_last() -> None:
    items = [item(ANN, ME, n, at=n) for n in (31, 30, 29, 20, 19)]
    assert [found["amount"] for found in within(items, Span(20, 30))] == [29, 20]


def test_nothing_older_than_the_span_is_read() -> None:
    def history() -> Iterator[dict[str, Any]]:
        yield item(ANN, ME, 1, at=25)
        yield item(ANN, ME, 1, at=19)
        raise AssertionError("read on")

    assert len(list(within(history(), Span(20, 30)))) == 1
