"""Where the pictures of peers and branches put things."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.web.pictures import MAX_BRANCHES, MAX_DRAWN, MAX_STEPS, block_tree, peer_dots


def peer(number: int, height: int = 10, latency: int | None = 5) -> dict[str, Any]:
    return {
        "name": f"peer {number}",
        "node_id": f"{number:064x}",
        "direction": "in" if number % 2 else "out",
        "height": height,
        "latency_ms": latency,
    }


def tip(height: int, branch: int, status: str = "valid-fork") -> dict[str, Any]:
    return {
        "hash": f"{height:032x}{branch:032x}",
        "height": height,
        "branch_length": branch,
        "status": status,
    }


@given(st.lists(st.tuples(st.integers(0, 99), st.none() | st.integers(0, 10**7)), max_size=60))
def test_every_peer_is_inside_the_picture_and_apart_from_this_node(
    found: list[tuple[int, int | None]],
) -> None:
    dots = peer_dots([peer(number, *facts) for number, facts in enumerate(found)], 50)
    assert len(dots) == min(len(found), MAX_DRAWN)
    for dot in dots:
        assert abs(dot.x) <= 210
        assert -180 <= dot.label_y <= 180
        assert math.hypot(dot.x, dot.y) > 60


def test_a_peer_below_our_height_stands_out() -> None:
    tones = {dot.label: dot.tone for dot in peer_dots([peer(1, 9), peer(2, 10), peer(3, 11)], 10)}
    assert tones == {"peer 1": "warn", "peer 2": "good", "peer 3": "good"}


def test_who_answers_slower_is_further_out() -> None:
    near, far = (peer_dots([peer(1, latency=ms)], 10)[0] for ms in (1, 900))
    assert math.hypot(near.x, near.y) < math.hypot(far.x, far.y)


@given(
    st.integers(0, 5_000),
    st.lists(st.tuples(st.integers(1, 5_000), st.integers(1, 50)), max_size=40),
)
def test_the_tree_has_a_place_for_every_branch_it_draws(top: int, found: list[tuple[int, int]]) -> None:
    sides = [tip(height, min(length, height)) for height, length in found if height <= top + 60]
    tree = block_tree([tip(top, 0, "active"), *sides])
    assert len(tree.lines) == min(len(sides), MAX_BRANCHES)
    assert tree.left_out == len(sides) - len(tree.lines)
    heights = [row.height for row in tree.rows]
    assert heights == sorted(heights, reverse=True)
    assert len({(block.x, block.y) for block in tree.blocks}) == len(tree.blocks)
    assert all(0 < block.x < tree.width and 0 < block.y < tree.height for block in tree.blocks)
    assert all(line.from_y > line.first_y >= line.to_y for line in tree.lines)
    labels = [block for block in tree.blocks if block.label]
    assert len(labels) == len(tree.lines) + 1


def test_a_long_branch_is_drawn_by_its_last_blocks() -> None:
    tree = block_tree([tip(100, 0, "active"), tip(99, 60)])
    x = tree.lines[0].x
    assert sum(1 for block in tree.blocks if block.x == x) == MAX_STEPS
    assert [row.height for row in tree.rows if row.gap] == [39]


@pytest.mark.parametrize("status", ["valid-fork", "headers-only", "invalid"])
def test_each_state_of_a_branch_has_words(status: str) -> None:
    tree = block_tree([tip(5, 0, "active"), tip(4, 1, status)])
    assert tree.blocks[-1].label
