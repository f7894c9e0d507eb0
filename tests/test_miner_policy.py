"""The hash rate of late, and when a dead worker is replaced; every time is handed in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.miner_policy import HashrateWindow, RestartPolicy

SECOND_US = 1_000_000


def test_nothing_heard_is_a_rate_of_zero() -> None:
    window = HashrateWindow()
    assert window.rate(100.0) == 0
    assert window.last == 0


def test_the_rate_is_hashes_over_the_time_they_took() -> None:
    window = HashrateWindow()
    window.record(10.0, 0, 300_000, SECOND_US // 4)
    window.record(10.5, 0, 100_000, SECOND_US // 4)
    assert window.rate(10.5) == 800_000


def test_the_rates_of_all_workers_add_up() -> None:
    window = HashrateWindow()
    window.record(10.0, 0, 1_000_000, SECOND_US)
    window.record(10.0, 1, 500_000, SECOND_US)
    assert window.rate(10.0) == 1_500_000


def test_what_is_older_than_the_window_no_longer_counts_but_the_last_rate_stays() -> None:
    window = HashrateWindow(span=5.0)
    window.record(10.0, 0, 1_000_000, SECOND_US)
    assert window.rate(14.9) == 1_000_000
    assert window.rate(15.1) == 0
    assert window.last == 1_000_000


def test_a_search_too_short_to_measure_tells_nothing() -> None:
    window = HashrateWindow()
    window.record(10.0, 0, 1_000_000, SECOND_US)
    window.record(20.0, 0, 1, 3)
    assert window.rate(20.0) == 0
    assert window.last == 1_000_000


@given(
    st.lists(
        st.tuples(
            st.floats(0, 10, allow_nan=False),
            st.integers(0, 3),
            st.integers(0, 10**7),
            st.integers(0, 10**6),
        ),
        max_size=60,
    )
)
def test_running_sums_agree_with_adding_up_afresh(steps: list[tuple[float, int, int, int]]) -> None:
    window = HashrateWindow(span=5.0)
    now = 0.0
    heard: list[tuple[float, int, int, int]] = []
    for wait, worker, hashes, microseconds in steps:
        now += wait
        window.record(now, worker, hashes, microseconds)
        heard.append((now, worker, hashes, microseconds))
        expected = 0
        for each in range(4):
            recent = [row for row in heard if row[1] == each and row[0] >= now - 5.0]
            spent = sum(row[3] for row in recent)
            if spent >= 10_000:
                expected += sum(row[2] for row in recent) * 1_000_000 // spent
        assert window.rate(now) == expected


def test_the_window_is_bounded_however_many_reports_come() -> None:
    window = HashrateWindow()
    for _ in range(5_000):
        window.record(1.0, 0, 1_000, 1_000)
    assert len(window._workers[0]._reports) == 1024
    assert window.rate(1.0) == SECOND_US


def test_deaths_in_a_row_wait_longer_each_time_and_then_a_minute() -> None:
    policy = RestartPolicy()
    restarts = [policy.died(lived=0.0) for _ in range(8)]
    assert [restart.delay for restart in restarts] == [0.1, 0.2, 0.4, 0.8, 1.6, 60.0, 60.0, 60.0]
    assert [restart.slow for restart in restarts] == [False] * 5 + [True] * 3


def test_a_worker_that_lived_for_a_minute_begins_the_count_again() -> None:
    policy = RestartPolicy()
    for _ in range(7):
        policy.died(lived=1.0)
    assert policy.died(lived=60.0) == (0.1, False)
    assert policy.died(lived=59.0) == (0.2, False)


def test_a_worker_that_ended_as_told_begins_the_count_again() -> None:
    policy = RestartPolicy()
    for _ in range(7):
        policy.died(lived=0.0)
    policy.ended()
    assert policy.died(lived=0.0) == (0.1, False)


@given(st.lists(st.floats(0, 59.9, allow_nan=False), min_size=1, max_size=50))
def test_however_it_dies_a_worker_is_started_at_most_six_times_a_minute(lives: list[float]) -> None:
    policy = RestartPolicy()
    now = 0.0
    starts = [now]
    for lived in lives:
        now += lived
        now += policy.died(lived).delay
        starts.append(now)
    assert all(starts[at + 6] - starts[at] >= 60.0 for at in range(len(starts) - 6))
