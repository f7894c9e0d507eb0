"""What tests build with is held against the rules: a valid block passes them all, a changed one does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.ledger import rules
from node.ledger.block import decode_block
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import validate
from node.ledger.signature import verify_many
from node.ledger.state import AccountState, apply_entries
from tests.building import EASY, Built, ChainBuilder, Changes, key, with_allocations

ANN, BOB = key("ann"), key("bob")


class _Dict(dict[bytes, AccountState]):
    def __missing__(self, owner: bytes) -> AccountState:
        return 0, 0


def check(chain: ChainBuilder, built: Built) -> None:
    """All tiers of rules but the order of the accounts' block path."""
    assert built.parent is not None
    block = decode_block(built.raw)
    rules.sane_header(block.header)
    rules.check_header_in_context(block.header, built.parent, chain.parameters)
    sane = rules.sane_block(block, chain.parameters)
    rules.check_block_in_context(sane, built.parent.history.root())
    entries = rules.sane_entries(sane)
    rules.check_entries_in_context(entries, 0, block.header.timestamp_ms, chain.parameters)
    assert all(verify_many(rules.signature_items(chain.network_id, entries)))
    accounts = _Dict(chain.accounts_at(built.parent))
    fees = apply_entries(accounts, entries, 0)
    rules.check_coinbase_amount(sane.coinbase, fees, chain.parameters)


def test_blocks_that_are_built_pass_every_rule() -> None:
    chain = ChainBuilder(with_allocations({BOB: 10_00}))
    validate(chain.parameters)
    at = chain.block(miner=ANN)
    check(chain, at)
    for number in range(5):
        at = chain.block(
            at, [chain.entry(ANN, BOB, 100 + number), chain.entry(BOB, BOB, 1, memo="to myself")]
        )
        check(chain, at)
    assert chain.accounts_at(at)[ANN.public] == (50_00 - 5 * 101 - 10, 5)
    assert chain.accounts_at(at)[BOB.public] == (10_00 + 5 * 100 + 10 - 5, 5)


def test_a_coinbase_that_matures_later_is_counted_later() -> None:
    chain = ChainBuilder(replace(EASY, maturity=2))
    blocks = chain.blocks(None, 3, miner=ANN)
    assert ANN.public not in chain.accounts_at(blocks[1])
    assert chain.accounts_at(blocks[2])[ANN.public] == (50_00, 0)


@pytest.mark.parametrize(
    "changes, rule",
    [
        (Changes(version=2), Rule.HEADER_VERSION),
        (Changes(height=7), Rule.HEADER_HEIGHT),
        (Changes(previous=bytes(32)), Rule.UNKNOWN_PARENT),
        (Changes(body_root=bytes(32)), Rule.BODY_ROOT),
        (Changes(bits=0x207FFFFE), Rule.DIFFICULTY),
        (Changes(count=9), Rule.ENTRY_COUNT),
        (Changes(entries_root=bytes(32)), Rule.ENTRIES_ROOT),
        (Changes(history_root=bytes(32)), Rule.HISTORY_ROOT),
        (Changes(extension_root=b"\x01" * 32), Rule.EXTENSION_ROOT),
        (Changes(coinbase_height=9), Rule.COINBASE_HEIGHT),
        (Changes(coinbase_amount=50_01), Rule.COINBASE_AMOUNT),
        (Changes(first_leaf=b"\x90"), Rule.COINBASE_ENCODING),
    ],
)
def test_a_change_breaks_the_rule_it_is_meant_to(changes: Changes, rule: Rule) -> None:
    chain = ChainBuilder()
    with pytest.raises(RuleBroken) as caught:
        check(chain, chain.block(chain.block(), changes=changes))
    assert caught.value.rule == rule


def test_the_same_calls_make_the_same_bytes() -> None:
    def make() -> bytes:
        chain = ChainBuilder()
        return chain.block(chain.block(miner=ANN), [chain.entry(ANN, BOB, 1)]).raw

    assert make() == make()
