"""Downloads, as whole nodes make them in virtual time."""

from __future__ import annotations

from tests.driving import World


def test_headers_of_a_peer_that_left_are_followed_by_the_blocks_of_another_that_has_them() -> None:
    world = World()
    first = world.add(mode="off")
    second = world.add((0,), mode="off")
    first.mine(30)
    world.run_until(lambda: second.height == 30)
    late = world.add((0, 1), mode="off")
    world.part(late, second)
    world.run_until(lambda: late.core.chain.headers.best.height == 30)
    assert late.height == 0
    world.part(late, first)
    world.run(1_000)
    world.join(late, second)
    world.run_until(lambda: late.tip == second.tip)
