"""The page's index as a file: sums that no integer of SQLite holds, and what its faults say."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.storage.page_index import BlockRow, Change, Growth, PageIndex

KEY = bytes(range(32))
MOST = 2**53 - 1
"""Of one entry's amount."""


@pytest.fixture
def index(tmp_path: Path) -> PageIndex:
    return PageIndex(tmp_path / "page.sqlite", bytes(32))


def block(height: int, entries: int) -> Change:
    """Return what a block adds in which somebody is paid the most that an entry can pay, again and again."""
    change = Change()
    change.blocks.append(BlockRow(height, bytes([height]) * 32, height, 1, 1, entries))
    change.hours[7] = (1, 1, 1, entries, entries * MOST)
    change.accounts[KEY] = Growth(0, entries)
    change.takings[KEY, 7] = (entries, entries * MOST)
    return change


def sums(index: PageIndex) -> list[tuple[int, int]]:
    """Return entries and amount by hour, which are the same by account."""
    found = [(row.entries, row.amount) for row in index.hours(0, 10)]
    assert [(row.entries, row.amount) for row in index.takings(KEY, 0, 10)] == found
    assert all(type(amount) is int for _, amount in found)
    return found


@pytest.mark.parametrize(
    "blocks",
    [(1_024,), (1_025,), (5_000,), (600, 600, 600), (1_000, 1, 1_000), (1_100, 1_100), (1, 2_000, 1)],
    ids=str,
)
def test_sums_beyond_what_sqlite_counts_are_nearly_right_and_leave_nothing_behind(
    index: PageIndex, blocks: tuple[int, ...]
) -> None:
    for height, entries in enumerate(blocks):
        index.add(block(height, entries))
        ((counted, amount),) = sums(index)
        assert counted == sum(blocks[: height + 1])
        assert amount == pytest.approx(counted * MOST, rel=1e-12)
    for height in reversed(range(1, len(blocks))):
        index.rewind(block(height, blocks[height]))
        ((counted, amount),) = sums(index)
        assert counted == sum(blocks[:height])
        assert amount == pytest.approx(counted * MOST, rel=1e-9)
    index.rewind(block(0, blocks[0]))
    assert sums(index) == []
    assert index.by_entries(10) == []
    assert index.newest(10) == []


def test_sums_below_that_are_exact(index: PageIndex) -> None:
    index.add(block(0, 1_000))
    index.add(block(1, 24))
    assert sums(index) == [(1_024, 1_024 * MOST)]
    index.rewind(block(1, 24))
    assert sums(index) == [(1_000, 1_000 * MOST)]
