"""Which entry pays which payment request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.asked import Request, is_paid_by, match, wanted

ME, HOUR = "bean1me", 3_600_000
COFFEE = Request("00000001", ME, 7_50, "coffee", created_ms=100_000, expires_ms=100_000 + HOUR)
PAYMENT: dict[str, Any] = {
    "txid": "aa" * 32,
    "status": "pending",
    "sender": "bean1ann",
    "recipient": ME,
    "amount": 7_50,
    "memo": "coffee",
    "timestamp_ms": 120_000,
}


def entry(number: int = 0, /, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of JSON
    return PAYMENT | {"txid": f"{number:064x}"} | changes


@pytest.mark.parametrize(
    "changes, pays",
    [
        ({}, True),
        ({"status": "confirmed"}, True),
        ({"amount": 7_51}, True),
        ({"amount": 7_49}, False),
        ({"memo": "coffee "}, False),
        ({"memo": ""}, False),
        ({"recipient": "bean1bob"}, False),
        ({"sender": None}, False),
        ({"status": "conflicted"}, False),
        ({"timestamp_ms": 85_000}, True),
        ({"timestamp_ms": 84_999}, False),
        ({"timestamp_ms": 100_000 + HOUR}, True),
        ({"timestamp_ms": 100_001 + HOUR}, False),
    ],
)
def test_an_entry_pays_by_recipient_amount_memo_and_time(changes: dict[str, Any], *, pays: bool) -> None:
    assert is_paid_by(COFFEE, entry(**changes)) is pays


def paid(requests: list[Request], *entries: dict[str, Any], now_ms: int = 130_000) -> list[str | None]:
    found = match(requests, entries, now_ms)
    return [None if request.paid_by is None else request.paid_by[-1] for request in found]


def test_one_payment_pays_one_request_the_first_made() -> None:
    second = replace(COFFEE, name="00000002", created_ms=101_000)
    assert paid([COFFEE, second], entry(1)) == ["1", None]
    assert paid([second, COFFEE], entry(1)) == [None, "1"]
    assert paid([COFFEE, second], entry(1), entry(2)) == ["1", "2"]
    assert paid([COFFEE, second], entry(2, timestamp_ms=125_000), entry(1)) == ["1", "2"]


def test_who_pays_more_pays_the_dearest_that_is_covered() -> None:
    cake = replace(COFFEE, name="00000002", amount=9_00, created_ms=101_000)
    assert paid([COFFEE, cake], entry(1, amount=9_00)) == [None, "1"]
    assert paid([COFFEE, cake], entry(1, amount=8_99)) == ["1", None]


def test_a_payment_that_is_gone_pays_nothing_any_more_unless_it_was_settled() -> None:
    by_one = replace(COFFEE, paid_by=entry(1)["txid"])
    assert paid([by_one]) == [None]
    assert paid([by_one], entry(2)) == ["2"]
    assert paid([by_one], entry(1), entry(2)) == ["1"], "once paid, by the same one"
    assert paid([replace(by_one, is_final=True)]) == ["1"]


def test_what_is_long_over_is_looked_for_no_more() -> None:
    late_ms = COFFEE.expires_ms + 86_400_000
    assert not match([COFFEE], [], late_ms)[0].is_final
    over = match([COFFEE], [], late_ms + 1)[0]
    assert over.is_final
    assert paid([over], entry(1)) == [None]
    assert wanted([over]) == {}


def test_blocks_are_looked_through_from_the_oldest_request_that_waits() -> None:
    other = replace(COFFEE, name="00000002", created_ms=90_000)
    assert wanted([COFFEE, other, replace(COFFEE, address="bean1till")]) == {
        ME: 75_000,
        "bean1till": 85_000,
    }


def test_a_state_is_open_paid_or_expired() -> None:
    assert COFFEE.state(COFFEE.expires_ms) == "open"
    assert COFFEE.state(COFFEE.expires_ms + 1) == "expired"
    assert replace(COFFEE, paid_by="aa" * 32).state(COFFEE.expires_ms + 1) == "paid"


@given(
    amounts=st.lists(st.integers(1, 4), max_size=6),
    payments=st.lists(st.integers(1, 5), max_size=6),
)
def test_no_payment_counts_twice_and_no_match_pays_too_little(
    amounts: list[int], payments: list[int]
) -> None:
    requests = [replace(COFFEE, name=f"{n:08x}", amount=amount) for n, amount in enumerate(amounts)]
    entries = [entry(n, amount=amount) for n, amount in enumerate(payments)]
    found = match(requests, entries, 130_000)
    by = [request.paid_by for request in found if request.paid_by is not None]
    assert len(by) == len(set(by))
    by_txid = {one["txid"]: one for one in entries}
    assert all(is_paid_by(request, by_txid[request.paid_by]) for request in found if request.paid_by)
    assert match(found, entries, 130_000) == found
