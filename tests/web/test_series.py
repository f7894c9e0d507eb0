"""Series for plots: hours put together, gaps filled, averages only where there are blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.storage.page_index import BlockRow, Hour, Takings
from node.web.series import of_blocks, of_hours

HOURS = st.lists(
    st.builds(
        Hour,
        hour=st.integers(480_000, 480_400),
        blocks=st.integers(1, 9),
        interval_ms=st.integers(0, 10**7),
        work=st.integers(1, 2**50),
        entries=st.integers(0, 99),
        amount=st.integers(0, 10**9),
    ),
    max_size=30,
    unique_by=lambda row: row.hour,
).map(sorted)


@given(HOURS, st.sampled_from([1, 24]), st.integers(-12, 14))
def test_nothing_is_lost_and_buckets_follow_one_another(hours: list[Hour], length: int, offset: int) -> None:
    takings = [Takings(row.hour, 1, 7) for row in hours[::2]]
    plotted = of_hours(hours, takings, length, offset)
    assert {len(column) for column in plotted} == {len(plotted.time)}
    assert sum(value or 0 for value in plotted.entries) == sum(row.entries for row in hours)
    assert sum(value or 0 for value in plotted.amount) == sum(row.amount for row in hours)
    assert sum(value or 0 for value in plotted.takings) == 7 * len(takings)
    assert {b - a for a, b in zip(plotted.time, plotted.time[1:], strict=False)} <= {length * 3_600}
    assert all((time // 3_600 + offset) % length == 0 for time in plotted.time)


def test_a_bucket_without_blocks_has_no_average() -> None:
    plotted = of_hours([Hour(10, 2, 30_000, 8, 1, 5), Hour(12, 1, 4_000, 4, 0, 0)], [], 1, 0)
    assert plotted.entries == [1, 0, 0]
    assert plotted.interval_ms == [15_000, None, 4_000]
    assert plotted.difficulty == [4, None, 4]
    assert plotted.hashrate == [0, None, 1]


def test_blocks_stand_in_order_of_time_and_genesis_is_none() -> None:
    rows = [
        BlockRow(2, b"2", 30_000, 20_000, 40, 3),
        BlockRow(1, b"1", 10_000, 0, 40, 1),
        BlockRow(0, b"0", 0, 0, 0, 0),
    ]
    plotted = of_blocks(rows)
    assert plotted.time == [10, 30]
    assert plotted.interval_ms == [None, 20_000]
    assert plotted.hashrate == [None, 2]
