"""Whole cores together: what people do, and what happens to machines, in virtual time."""

from __future__ import annotations

import pytest

from node import events
from node.events import Refuse
from node.ledger.block import decode_block, decode_coinbase
from node.ledger.entry import decode_entry
from node.ledger.state import Account
from tests.driving import Driven, World


def line(world: World, count: int) -> list[Driven]:
    """Nodes in a line: each knows the one before it."""
    nodes = [world.add()]
    while len(nodes) < count:
        nodes.append(world.add((len(nodes) - 1,)))
    world.run_until(lambda: all(any(True for _ in node.core.sessions.open()) for node in nodes))
    return nodes


def earn(node: Driven, blocks: int = 1) -> list[str]:
    """Mine blocks and return their hashes."""
    request = node.mine(blocks)
    node.world.run_until(lambda: request in node.answers)
    found = node.answers[request]
    assert isinstance(found, list)
    return found


def agree(nodes: list[Driven]) -> bool:
    """True where all are on one tip."""
    return len({node.tip for node in nodes}) == 1


def balance(node: Driven, of: Driven) -> int:
    return node.core.store.account(of.key.public).balance


def replayed(node: Driven) -> dict[bytes, tuple[int, int]]:
    """The accounts as the blocks of a node's disk give them, worked out plainly."""
    accounts: dict[bytes, list[int]] = {}
    for block_id in node.disk.main[1:]:
        block = decode_block(node.disk.bodies[block_id])
        for raw in block.entries:
            entry = decode_entry(raw)
            payer = accounts.setdefault(entry.sender, [0, 0])
            assert payer[1] == entry.nonce
            payer[0] -= entry.amount + entry.fee
            payer[1] += 1
            assert payer[0] >= 0
            accounts.setdefault(entry.recipient, [0, 0])[0] += entry.amount
        coinbase = decode_coinbase(block.first_leaf)
        accounts.setdefault(coinbase.miner, [0, 0])[0] += coinbase.amount
    return {key: (owed, nonce) for key, (owed, nonce) in accounts.items()}


def test_a_payment_typed_on_one_node_is_mined_on_another_and_read_on_the_third() -> None:
    world = World()
    first, second, third = line(world, 3)
    first.mode = second.mode = "off"
    earn(first)
    world.run_until(lambda: agree(world.nodes))
    entry = first.entry(third.key, 12_34, memo="two flat whites")
    request = first.submit(entry)
    world.run_until(lambda: balance(third, third) >= 12_34 and agree(world.nodes))
    world.run(100)
    assert first.answers[request] == [entry.txid.hex()]
    assert all(replayed(node) == node.disk.accounts for node in world.nodes)


def test_twenty_payments_typed_at_random_end_on_one_tip_without_being_asked_to_mine() -> None:
    world = World(seed=7)
    nodes = line(world, 3)
    for node in nodes:
        earn(node, 2)
        world.run_until(lambda: agree(nodes))
    for _ in range(20):
        payer, payee = world.random.choice(nodes), world.random.choice(nodes)
        payer.submit(payer.entry(payee.key, 1_00))
        world.run(world.random.randrange(700))
    world.run_until(lambda: agree(nodes) and not any(len(node.core.mempool) for node in nodes))
    assert sum(node.core.store.account(node.key.public).nonce for node in nodes) == 20


@pytest.mark.parametrize("seed", range(6))
def test_two_halves_that_were_parted_end_on_the_heavier_branch_and_lose_no_payment(seed: int) -> None:
    world = World(seed)
    left, right = line(world, 2)
    earn(left, 2)
    earn(right, 2)
    world.run_until(lambda: agree([left, right]))
    world.part(left, right)
    texts = []
    for node, other, blocks in ((left, right, 2), (right, left, 5)):
        texts.append(node.entry(other.key, 3_00))
        node.submit(texts[-1])
        earn(node, blocks)
    heavier = max((left, right), key=lambda node: node.core.chain.tip.work)
    kept = heavier.disk.records[heavier.disk.main[-1]].hash
    world.join(left, right)
    world.run_until(lambda: agree([left, right]))
    world.run(1_000)
    assert kept in {record.hash for record in left.disk.records}
    for entry in texts:
        for node in (left, right):
            account = node.core.store.account(entry.sender)
            assert entry.nonce < account.nonce or entry.txid in node.core.mempool
    world.run_until(
        lambda: agree([left, right]) and not len(left.core.mempool) and not len(right.core.mempool)
    )
    world.run(100)
    assert replayed(left) == replayed(right) == left.disk.accounts


def test_a_late_joiner_gets_the_whole_book() -> None:
    world = World()
    first = world.add()
    earn(first, 60)
    late = world.add((0,))
    world.run_until(lambda: late.tip == first.tip)
    world.run(100)
    assert late.disk.accounts == first.disk.accounts


def test_two_nodes_that_mined_the_same_payment_end_the_tie_on_demand() -> None:
    world = World()
    left, right = line(world, 2)
    earn(left)
    world.run_until(lambda: agree([left, right]))
    world.part(left, right)
    entry = left.entry(right.key, 1_00)
    left.submit(entry)
    right.submit(entry)
    world.run_until(lambda: left.height == right.height == 2)
    assert not agree([left, right])
    world.join(left, right)
    world.run_until(lambda: agree([left, right]))
    assert left.height == 3


def test_of_two_conflicting_payments_one_is_mined_and_the_other_told_as_conflicted() -> None:
    world = World()
    left, right = line(world, 2)
    earn(left)
    world.run_until(lambda: agree([left, right]))
    world.part(left, right)
    mine, theirs = left.entry(right.key, 1_00, nonce=0), left.entry(right.key, 2_00, nonce=0)
    left.submit(mine)
    right.submit(theirs)
    world.run_until(lambda: left.height >= 2 and right.height >= 2)
    world.join(left, right)
    world.run_until(lambda: agree([left, right]) and left.height >= 3)
    assert left.core.store.account(left.key.public).nonce == 1
    world.run(5_000)
    assert not len(left.core.mempool)
    assert not len(right.core.mempool)
    lost = [node.core.mempool.winner_of(entry.txid) for node in (left, right) for entry in (mine, theirs)]
    assert sum(winner is not None for winner in lost) == 1


def test_concurrent_requests_to_mine_queue_and_each_gets_its_own_blocks() -> None:
    world = World()
    node = world.add()
    first, second = node.mine(3), node.mine(2)
    world.run_until(lambda: second in node.answers)
    one, other = node.answers[first], node.answers[second]
    assert isinstance(one, list)
    assert isinstance(other, list)
    assert (len(one), len(other)) == (3, 2)
    assert not set(one) & set(other)
    assert node.height == 5


def test_nobody_mines_when_there_is_nothing_to_mine() -> None:
    world = World()
    first, second = line(world, 2)
    earn(first)
    world.run(60_000)
    assert first.height == second.height == 1
    assert not first.is_mining
    assert not second.is_mining


def test_a_payment_whose_txid_was_answered_survives_a_crash_at_any_moment() -> None:
    for moment_ms in range(0, 40, 1):
        world = World()
        node = world.add(mode="off")
        earn(node)
        entry = node.entry(node.key, 1_00)
        request = node.submit(entry)
        world.run(moment_ms)
        was_answered = request in node.answers
        node.crash()
        node.boot()
        world.run(100)
        if was_answered:
            assert entry.txid in node.core.mempool


def test_no_block_that_was_told_of_is_gone_after_a_crash() -> None:
    world = World(seed=3)
    first, second = line(world, 2)
    second.disk_ms = 400
    for _ in range(30):
        first.mine()
        world.run(world.random.randrange(1_500))
        told = second.core.store.durable_tip()
        second.crash()
        second.boot()
        assert second.core.chain.tip.work >= told.work
        assert second.core.store.find(told.hash) is not None
    world.run_until(lambda: agree([first, second]))


@pytest.mark.parametrize("moment_ms", range(0, 30, 3))
def test_a_payment_undone_by_a_switch_survives_a_crash_before_it_is_saved_again(moment_ms: int) -> None:
    world = World(seed=5)
    left, right = line(world, 2)
    earn(left)
    world.run_until(lambda: agree([left, right]))
    world.part(left, right)
    entry = left.entry(right.key, 1_00)
    left.submit(entry)
    world.run_until(lambda: left.height == 2)
    world.run(125_000)  # it is in a block: the file of pending entries and the journal know nothing of it
    assert not left.journal.own
    assert left.journal.saved is not None
    left.core.mining.shut_down()
    earn(right, 4)
    world.join(left, right)
    world.run_until(lambda: agree([left, right]))
    world.run(moment_ms)
    left.crash()
    world.part(left, right)
    left.mode = "off"
    left.boot()
    world.run(1_000)
    is_mined = left.core.store.account(left.key.public).nonce == 1
    assert is_mined or entry.txid in left.core.mempool


def test_a_claim_waits_for_a_slow_disk_while_others_are_served() -> None:
    world = World()
    first, second = line(world, 2)
    first.disk_ms = 5_000
    request = first.mine()
    world.run_until(lambda: first.height == 1)
    world.run(1_000)
    assert second.height == 0
    assert request not in first.answers
    world.run_until(lambda: second.height == 1 and request in first.answers)


def test_a_damaged_block_on_the_disk_halts_the_node_and_is_never_handed_on() -> None:
    world = World()
    first = world.add()
    earn(first, 3)
    raw = bytearray(first.disk.bodies[2])
    raw[-3] ^= 1
    first.disk.bodies[2] = bytes(raw)
    late = world.add((0,))
    world.run(10_000)
    assert first.halted is not None
    assert "verify" in first.halted.hint
    assert late.height in {0, 1}


@pytest.mark.parametrize("balance", [0, 5, 1_000_000_00])
def test_an_edited_balance_is_this_disks_fault_and_never_the_senders(balance: int) -> None:
    world = World()
    first, second = line(world, 2)
    earn(first, 2)
    world.run_until(lambda: agree([first, second]))
    world.run(100)
    second.crash()
    second.disk.accounts[first.key.public] = Account(balance, 0)
    second.boot()
    world.run_until(lambda: any(True for _ in second.core.sessions.open()))
    first.submit(first.entry(first.key, 60_00, nonce=0), first.entry(first.key, 30_00, nonce=1))
    earn(first)
    world.run(5_000)
    if balance < 60_00:
        assert second.halted is not None
        assert "changed here" in second.halted.reason
    assert not second.told("block-condemned")
    assert not second.told("peer-fault")


def test_a_node_whose_clock_is_off_does_not_mine_and_says_so() -> None:
    world = World()
    first, second, third = world.add(), world.add((0,)), world.add((0, 1))
    world.run(1_000)
    assert agree([first, second, third])
    wrong = world.add((0, 1, 2))
    wrong.crash()
    wrong.clock_error_ms = 3_600_000
    wrong.boot()
    world.run(5_000)
    refused = wrong.answers[wrong.mine()]
    world.run(30_000)
    assert wrong.height == 0
    assert isinstance(refused, Refuse)
    assert refused.code == "mining-held"
    assert "clock is 3600 s off" in refused.message


def test_a_request_to_mine_too_much_is_refused_with_what_to_ask_for() -> None:
    node = World().add()
    request = node.mine(0)
    refused = node.answers[request]
    assert isinstance(refused, Refuse)
    assert refused.hint


def test_an_empty_submission_is_answered_too() -> None:
    node = World().add()
    request = node.submit()
    assert node.answers[request] == []


def test_a_tick_at_any_moment_does_no_harm() -> None:
    world = World()
    first, second = line(world, 2)
    for _ in range(50):
        first.take(events.Tick())
        second.take(events.Continue())
        world.run(7)
    earn(first)
    world.run_until(lambda: agree([first, second]))
