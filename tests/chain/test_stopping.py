"""Stops between any two commits, and what is found changed on the disk."""

from __future__ import annotations

import pytest

from node import recount
from node.ledger import state
from node.ledger.errors import RuleBroken
from node.ledger.state import Account
from node.storage.port import Standing, StorageFault
from tests.building import Built, ChainBuilder
from tests.chaining import ANN, BOB, CEM, Node, Payer, copy_of, sound


def eventful(builder: ChainBuilder) -> tuple[list[list[Built]], Built]:
    """Return blocks in the portions in which they come, with all that can happen; and the final tip."""
    trunk = Payer(builder).line(None, 4, entries=2, miner=ANN)
    payer = Payer(builder)
    left = payer.line(None, 5, entries=3, miner=BOB)
    bad = builder.block(left[-1], [builder.entry(ANN, CEM, 1, nonce=900)])
    heirs = builder.blocks(bad, 3)
    equal = builder.blocks(left[3], 1, miner=CEM)
    better = payer.line(left[-1], 2, entries=3, miner=CEM)
    return [trunk, left, [bad, *heirs], equal, better, builder.blocks(trunk[1], 3)], better[-1]


def test_a_node_stopped_between_any_two_commits_ends_in_the_same_book(builder: ChainBuilder) -> None:
    portions, tip = eventful(builder)
    node = Node(builder)
    disks = [copy_of(node.disk)]
    node.after_save = lambda: disks.append(copy_of(node.disk))
    for portion in portions:
        node.give(*portion)
    assert node.is_at(tip)
    assert len(disks) > 25
    final = {block.hash: node.record(block) for portion in portions for block in portion}
    for disk in disks:
        assert sound(disk)
        again = Node(builder, disk)
        assert builder.accounts_at(_built(portions, builder, again.chain.tip.hash)) == {
            owner: tuple(account) for owner, account in disk.accounts.items()
        }
        again.settle()
        for portion in portions:
            _give_what_is_wanted(again, portion)
        assert again.is_at(tip)
        assert sound(disk)
        for block_hash, record in final.items():
            found = again.store.find(block_hash)
            if found is not None:
                assert found.rule == record.rule
                assert (found.standing is Standing.CONDEMNED) == (record.standing is Standing.CONDEMNED)


def _built(portions: list[list[Built]], builder: ChainBuilder, block_hash: bytes) -> Built:
    return next(
        block for portion in [[builder.genesis], *portions] for block in portion if block.hash == block_hash
    )


def _give_what_is_wanted(node: Node, portion: list[Built]) -> None:
    """Hand over a portion as peers do; where its headers are refused, nothing of it."""
    for block in portion:
        try:
            node.headers(block)
        except RuleBroken:
            continue
        node.body(block)
    node.settle()


def test_blocks_that_were_stored_and_not_connected_are_connected_after_a_restart(
    builder: ChainBuilder, node: Node
) -> None:
    old = Payer(builder).line(None, 3)
    new = Payer(builder).line(None, 3, entries=3, miner=BOB)
    node.give(*old)
    node.give(*new)
    more = builder.block(new[-1])
    node.headers(more)
    node.body(more)
    node.advance()
    # The last block's body was never written; what is stored is known, and the last one is asked for again.
    again = Node(builder, copy_of(node.disk))
    again.settle()
    assert again.chain.tip.height == 3
    again.give(more)
    assert again.is_at(more)


def stored_branches(builder: ChainBuilder) -> tuple[Node, list[Built], list[Built]]:
    """Return a node at the end of one branch that has stored another, one block shorter."""
    node = Node(builder)
    old = Payer(builder).line(None, 3, entries=2, miner=ANN)
    new = Payer(builder).line(None, 3, entries=2, miner=BOB)
    node.give(*old)
    node.give(*new)
    return node, old, new


@pytest.mark.parametrize("which", ["old", "new"])
@pytest.mark.parametrize("how", ["a byte", "cut", "another block", "gone"])
def test_a_stored_block_that_was_changed_here_is_named_and_nothing_is_applied(
    builder: ChainBuilder, which: str, how: str
) -> None:
    node, old, new = stored_branches(builder)
    victim, other = (old, new)[which == "new"][1], (old, new)[which == "old"][1]
    block_id, raw = node.record(victim).id, victim.raw
    changed = {
        "a byte": raw.replace(victim.entries[0].raw, victim.entries[0].raw[:-1] + b"\xff"),
        "cut": raw[:-1],
        "another block": other.raw,
        "gone": None,
    }[how]
    if changed is None:
        del node.disk.bodies[block_id]
    else:
        node.disk.bodies[block_id] = changed
    accounts = dict(node.disk.accounts)
    node = Node(builder, node.disk)  # what was connected lately is at hand; what is read is not believed
    more = builder.block(new[-1])
    node.headers(more)
    node.body(more)
    message = "is missing from the book" if how == "gone" else "was changed here"
    with pytest.raises(StorageFault, match=f"block 2 .{victim.hash.hex()[:16]}. {message}"):
        node.settle()
    node.save()
    assert node.chain.tip.hash == old[-1].hash
    assert node.disk.accounts == accounts
    # It is this machine's fault: no block is condemned for it, and it is named again at the next try.
    assert node.condemned() == []
    with pytest.raises(StorageFault):
        node.settle()
    assert node.disk.accounts == accounts


def test_a_block_connected_lately_is_left_without_reading_it_again(
    builder: ChainBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _, new = stored_branches(builder)
    read: list[int] = []
    look_up = node.store.body

    def body(block_id: int) -> bytes | None:
        read.append(block_id)
        return look_up(block_id)

    monkeypatch.setattr(node.store, "body", body)
    node.give(builder.block(new[-1]))
    assert node.chain.tip.height == 4
    assert read == [node.record(block).id for block in new]  # which were put aside, and never connected


def test_accounts_that_do_not_fit_the_blocks_are_named_when_they_are_undone(builder: ChainBuilder) -> None:
    node, old, new = stored_branches(builder)
    node.disk.accounts[ANN.public] = Account(0, 1)
    again = Node(builder, node.disk)
    more = builder.block(new[-1])
    again.headers(more)
    again.body(more)
    with pytest.raises(state.StateMismatch):
        again.settle()
    assert again.chain.tip.hash == old[-1].hash
    assert again.condemned() == []


def test_a_block_that_could_not_be_undone_to_its_end_is_undone_anew(builder: ChainBuilder) -> None:
    node = Node(builder)
    old = builder.block(None, [*Payer(builder).pay(1), *Payer(builder, BOB).pay(1)])
    new = builder.blocks(None, 2, miner=BOB)
    node.give(old)
    # Bob's entry is undone first and fits; Ann's does not.
    node.disk.accounts[ANN.public] = Account(1_000_000_00, 7)
    again = Node(builder, node.disk)
    again.headers(new[-1])
    for block in new:
        again.body(block)
    for _ in range(2):
        with pytest.raises(state.StateMismatch, match=f"sender of {old.entries[0].txid.hex()} is at nonce 7"):
            again.settle()


@pytest.mark.parametrize(
    "counted, message",
    [(2_000, "by its blocks: it was changed here"), (0, "was valid when it was first connected")],
)
def test_a_block_that_was_valid_once_is_never_condemned_for_accounts_changed_here(
    builder: ChainBuilder, monkeypatch: pytest.MonkeyPatch, counted: int, message: str
) -> None:
    monkeypatch.setattr(recount, "MOST_BLOCKS", counted)
    node = Node(builder)
    old = Payer(builder).line(None, 3, entries=3)
    new = Payer(builder).line(None, 4, entries=1)
    node.give(*old)
    node.give(*new)
    # Ann is made poor on this disk; then her old branch comes back, where she spent more.
    node.disk.accounts[ANN.public] = Account(0, 4)
    poor = Node(builder, node.disk)
    back = builder.blocks(old[-1], 2)
    poor.headers(back[-1])
    for block in back:
        poor.body(block)
    with pytest.raises(StorageFault, match=message):
        poor.settle()
    assert poor.condemned() == []
    assert poor.standing(old[0]) is Standing.PROVEN
