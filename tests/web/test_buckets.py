"""Token buckets, in a table with an end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.web.buckets import Buckets, client_of


def test_a_burst_goes_through_and_then_the_rate() -> None:
    buckets = Buckets(rate=2.0, burst=3)
    assert [buckets.take("ann", 0.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("ann", 0.4) == pytest.approx(0.1)
    assert buckets.take("ann", 0.5) == 0
    assert buckets.take("ann", 0.5) > 0
    assert buckets.take("ann", 1_000.0) == 0


def test_one_client_takes_nothing_of_another() -> None:
    buckets = Buckets(rate=1.0, burst=1)
    assert buckets.take("ann", 0.0) == 0
    assert buckets.take("bob", 0.0) == 0
    assert buckets.take("ann", 0.0) == 1


def test_the_table_forgets_who_was_away_longest() -> None:
    buckets = Buckets(rate=1.0, burst=1, clients=2)
    for client in ("ann", "bob", "ann", "cem"):
        buckets.take(client, 0.0)
    assert len(buckets) == 2
    assert buckets.take("ann", 0.0) == 1, "kept: it asked after Bob"
    assert buckets.take("bob", 0.0) == 0, "forgotten"


@given(st.lists(st.floats(0, 10), max_size=200))
def test_nobody_gets_more_than_the_burst_and_the_rate(steps: list[float]) -> None:
    buckets, now, taken = Buckets(rate=3.0, burst=5), 0.0, 0
    for step in steps:
        now += step / 100
        taken += buckets.take("ann", now) == 0
        assert taken <= 5 + now * 3 + 1e-6


@pytest.mark.parametrize(
    "address, client",
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::1", "2001:0db8:0001:0002"),
        ("2001:db8:1:2:ffff::9", "2001:0db8:0001:0002"),
        ("fe80::1%eth0", "fe80:0000:0000:0000"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_a_network_of_64_bits_counts_as_one_client(address: str, client: str) -> None:
    assert client_of(address) == client
