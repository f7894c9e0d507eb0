"""Each check can fail: a world that is in order is spoilt in one place, and the check says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from node import events, frames
from node.disk import Write
from node.endpoint import Endpoint
from node.events import Level, Notice
from node.ledger.state import Account
from node.messages import Headers, Inventory, Kind
from node.storage.port import Batch
from tests.building import key
from tests.simulation.checkers import Failure
from tests.simulation.disks import MemoryMedium
from tests.simulation.faults import PROFILES
from tests.simulation.machine import Machine
from tests.simulation.world import Settings, World


def calm_world(folder: Path) -> World:
    """Three nodes that have mined for a while, with something pending."""
    world = World(Settings(1, 3, PROFILES["calm"](Random(1)), 90_000, folder))
    world.begin()
    world.kernel.run_until(90_000)
    machine = world.machines[0]
    assert machine.core.store.tip().height >= 2
    while not len(machine.core.mempool) or machine.is_busy():
        world.kernel.run_until(world.kernel.now_ms + 100)
    world.checkers.look(machine)
    return world


def says(message: Inventory | Headers) -> events.Send:
    return events.Send(1, frames.encode(message))


def spoil_an_account(world: World, machine: Machine) -> None:
    assert isinstance(machine.medium, MemoryMedium)
    machine.medium.disk.accounts[machine.build.key.public] = Account(1, 0)
    machine.crash(silently=False)
    machine.boot()


def lose_a_block(world: World, machine: Machine) -> None:
    assert isinstance(machine.medium, MemoryMedium)
    machine.crash(silently=False)
    del machine.medium.disk.bodies[1]
    machine.boot()


def claim_too_early(world: World, machine: Machine) -> None:
    world.checkers.sends(machine, events.Send(1, b"", after=machine.durable + 1))


def answer_too_early(world: World, machine: Machine) -> None:
    world.checkers.answered(machine, events.Answer(1, None, after=machine.durable + 1))


def tell_of_a_block_that_is_not_there(world: World, machine: Machine) -> None:
    world.checkers.sends(machine, says(Inventory(Kind.BLOCK, (bytes(32),))))


def tell_of_a_header_that_is_not_there(world: World, machine: Machine) -> None:
    world.checkers.sends(machine, says(Headers((bytes(92),))))


def blame_a_friend(world: World, machine: Machine) -> None:
    notice = Notice("peer-fault", "a fault", Level.WARNING, {"host": world.machines[1].host})
    world.checkers.stepped(machine, [notice])


def halt_without_a_reason(world: World, machine: Machine) -> None:
    world.checkers.halted(machine, "out of sorts")


def hold_a_heavier_branch(world: World, machine: Machine) -> None:
    world.checkers.seen(machine).work += 1
    world.checkers.look(machine)


def go_back_to_a_lighter_branch(world: World, machine: Machine) -> None:
    """As if the tip had been one that is no ancestor of the present one, and of the same work."""
    ledger = world.checkers.ledger
    tip = ledger.at(machine.core.store.tip().hash)
    other = tip.hash[::-1]
    ledger._blocks[other] = replace(tip, hash=other, path=(*tip.path[:-1], other))
    world.checkers.seen(machine).tip = other
    world.checkers.stepped(machine, [])


def keep_what_is_used(world: World, machine: Machine) -> None:
    pending = next(iter(machine.core.mempool)).entry
    accounts = world.checkers.ledger.at(machine.core.store.tip().hash).accounts
    assert isinstance(accounts, dict)
    accounts[pending.sender] = (accounts[pending.sender][0], pending.nonce + 1)
    world.checkers.look(machine)


def mint_a_coin(world: World, machine: Machine) -> None:
    """An account that the law knows nothing of, in the disk's table alone."""
    assert isinstance(machine.medium, MemoryMedium)
    machine.medium.disk.accounts[bytes(32)] = Account(1, 0)
    world.checkers.look(machine)


def blame_the_accounts_on_a_full_disk(world: World, machine: Machine) -> None:
    world.checkers.seen(machine).may_halt = True
    world.checkers.halted(machine, "the disk of book.sqlite is full")
    world.checkers.halted(machine, "the accounts on this disk do not fit its blocks")


def fill_the_address_book(world: World, machine: Machine) -> None:
    book = machine.core.links.book.addresses
    for number in range(3_000):
        book.configure(Endpoint(f"20.200.{number // 250}.{number % 250}", 9000))
    world.checkers.look(machine)


def lose_what_it_took(world: World, machine: Machine) -> None:
    pending = next(iter(machine.core.mempool)).entry
    world.checkers.seen(machine).promised[pending.txid] = pending
    world.checkers.look(machine)
    machine.core.mempool.remove(pending.txid)
    world.checkers.look(machine)


def forget_a_block_from_the_future(world: World, machine: Machine) -> None:
    """As if its header had waited at the last look."""
    world.checkers.seen(machine).parked[bytes(32)] = (machine.now().wall_ms, bytes(32))
    world.checkers.look(machine)


def evict_while_there_is_room(world: World, machine: Machine) -> None:
    """As if it held few entries, and one had left for no reason."""
    hold_few(machine, 50)
    world.checkers.stepped(machine, [])
    machine.core.mempool.remove(next(iter(machine.core.mempool)).entry.txid)
    world.checkers.stepped(machine, [])


def evict_what_was_typed_there(world: World, machine: Machine) -> None:
    pending = next(iter(machine.core.mempool)).entry
    world.checkers.seen(machine).promised[pending.txid] = pending
    hold_few(machine, len(machine.core.mempool) - 1)
    world.checkers.stepped(machine, [])
    machine.core.mempool.remove(pending.txid)
    world.checkers.stepped(machine, [])


def refuse_while_there_is_room(world: World, machine: Machine) -> None:
    hold_few(machine, 50)
    world.checkers.stepped(machine, [])
    fields = {"txid": bytes(32).hex(), "code": "mempool-full"}
    world.checkers.stepped(machine, [Notice("entry-refused", "no room", Level.DEBUG, fields)])


def hold_few(machine: Machine, most: int) -> None:
    machine.build = replace(machine.build, pool_entries=most)


def hold_more_than_it_may(world: World, machine: Machine) -> None:
    hold_few(machine, 0)
    world.checkers.look(machine)


def hear_of_too_much(world: World, machine: Machine) -> None:
    asked = next(iter(machine.core.gossip._fetching._peers.values()))
    asked.backlog.update(dict.fromkeys(number.to_bytes(32, "big") for number in range(60_001)))
    world.checkers.look(machine)


def forget_a_promise(world: World, machine: Machine) -> None:
    """Nothing confirms what is pending here; asked for now, it is unsettled."""
    promises = world.checkers.unsettled(machine.core.store.tip().hash, 0)
    raise Failure(f"{len(promises)} unsettled" if promises else "nothing is unsettled")


@pytest.mark.parametrize(
    "spoil, says",
    [
        (spoil_an_account, r"the account .* by the law it has"),
        (lose_a_block, r"a block that was durable is gone|the body of block 1 .* is gone"),
        (claim_too_early, r"says what waits for batch \d+ before that is durable"),
        (answer_too_early, r"answers before batch \d+ is durable"),
        (tell_of_a_block_that_is_not_there, r"tells a peer of block 00000000, which is not durable"),
        (tell_of_a_header_that_is_not_there, r"tells a peer of block .*, which is not durable"),
        (blame_a_friend, r"n0 blames n1, which is honest"),
        (halt_without_a_reason, r"halts without a fault of its machine: out of sorts"),
        (blame_the_accounts_on_a_full_disk, r"halts without a fault of its machine: the accounts"),
        (mint_a_coin, r"its accounts hold \d+ together, by the law \d+"),
        (hold_a_heavier_branch, r"it holds a valid branch of work"),
        (go_back_to_a_lighter_branch, r"which is not heavier"),
        (keep_what_is_used, r"holds an entry as pending whose nonce \d+ is used"),
        (fill_the_address_book, r"addresses: \d+, where \d+ is the bound"),
        (lose_what_it_took, r"it took entry .*, which is neither in its chain nor void and waits no more"),
        (forget_a_block_from_the_future, r"forgot block 00000000 when its time had come"),
        (evict_while_there_is_room, r"has room for 50 pending entries, holds \d+, takes none"),
        (refuse_while_there_is_room, r"has room for 50 pending entries, holds \d+, takes none"),
        (evict_what_was_typed_there, r"evicted entry \w+, which was typed there"),
        (hold_more_than_it_may, r"pending entries: \d+, where 0 is the bound"),
        (hear_of_too_much, r"entries told of: 60001, where 60000 is the bound"),
        (forget_a_promise, r"[1-9]\d* unsettled"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_spoilt_is_noticed(
    spoil: Callable[[World, Machine], None], says: str, tmp_path: Path
) -> None:
    world = calm_world(tmp_path)
    with pytest.raises(Failure) as failure:
        spoil(world, world.machines[0])
    assert re.search(says, str(failure.value))


def test_a_block_that_breaks_the_law_is_no_part_of_the_heaviest_branch(tmp_path: Path) -> None:
    world = calm_world(tmp_path)
    machine = world.machines[0]
    tip = machine.core.store.tip()
    raw = bytearray(machine.core.store.body(tip.id) or b"")
    raw[-1] ^= 1
    batch = Batch(1)
    batch.bodies.append((99, bytes(raw)))
    writes: list[Write] = [events.Persist(batch)]
    before = world.checkers.seen(machine).work
    world.checkers.wrote(machine, writes)
    assert world.checkers.seen(machine).work == before


def test_a_promise_is_void_where_its_nonce_is_used_or_its_lifetime_over(tmp_path: Path) -> None:
    world = calm_world(tmp_path)
    tip = world.checkers.ledger.at(world.machines[0].core.store.tip().hash)
    assert key("wallet 0").public in tip.accounts
    unsettled = world.checkers.unsettled(tip.hash, 0)
    assert unsettled
    promise = unsettled[0].entry
    accounts = tip.accounts
    assert isinstance(accounts, dict)
    balance, nonce = accounts[promise.sender]
    accounts[promise.sender] = (balance, promise.nonce + 1)
    assert promise not in [one.entry for one in world.checkers.unsettled(tip.hash, 0)]
    accounts[promise.sender] = (0, promise.nonce)
    assert promise not in [one.entry for one in world.checkers.unsettled(tip.hash, 0)]
    accounts[promise.sender] = (balance, nonce)
    assert promise in [one.entry for one in world.checkers.unsettled(tip.hash, 0)]
    last_ms = promise.timestamp_ms + world.parameters.lifetime_ms
    assert promise in [one.entry for one in world.checkers.unsettled(tip.hash, last_ms)]
    assert promise not in [one.entry for one in world.checkers.unsettled(tip.hash, last_ms + 1)]


def test_what_only_nodes_of_wrong_clocks_took_is_asked_for_no_more(tmp_path: Path) -> None:
    world = calm_world(tmp_path)
    tip = world.machines[0].core.store.tip().hash
    before = world.checkers.unsettled(tip, 0)
    takers = dict.fromkeys(number for promise in before for number in promise.machines)
    assert takers
    world.checkers.release([])
    assert world.checkers.unsettled(tip, 0) == before
    world.checkers.release(list(takers))
    assert world.checkers.unsettled(tip, 0) == []


def test_a_look_that_meets_a_busy_node_is_counted(tmp_path: Path) -> None:
    world = calm_world(tmp_path)
    machine, checkers = world.machines[0], world.checkers
    looks, skipped = checkers.looks, checkers.skipped
    checkers.look(machine)
    machine.is_working = True
    checkers.look(machine)
    assert (checkers.looks, checkers.skipped) == (looks + 2, skipped + 1)
