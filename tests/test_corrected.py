"""Corrections of an entry: found from either side, complete or said not to be."""

from __future__ import annotations

from typing import Any

import pytest

from node import corrected
from node.answers import Waiting, waiting_fields
from node.corrected import corrections
from node.corrections import correcting_memo
from node.ledger.entry import Entry
from node.query import Query
from tests.building import EASY, Built, ChainBuilder, key, with_allocations
from tests.memory_book import MemoryBook

ANN, SHOP, EVE = key("ann"), key("shop"), key("eve")
RICH = with_allocations({ANN: 100_00, SHOP: 100_00, EVE: 100_00})


@pytest.fixture
def chain() -> ChainBuilder:
    return ChainBuilder(RICH)


def asked(chain: ChainBuilder, tip: Built, entry: Entry, *pending: Entry) -> dict[str, Any]:
    query = Query(MemoryBook(chain, tip), RICH)
    waiting = [waiting_fields(one.txid, Waiting("pending", one), EASY.prefix) for one in pending]
    found = next((one for one in waiting if one["txid"] == entry.txid.hex()), query.tx(entry.txid))
    return corrections(query, EASY.prefix, found, waiting)


def txids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["txid"] for entry in entries]


def test_corrections_of_both_parties_are_found_and_those_of_strangers_are_not(
    chain: ChainBuilder,
) -> None:
    paid = chain.entry(ANN, SHOP, 7_00, memo="coffee")
    memo = correcting_memo(paid.txid.hex(), "was tea")
    refund = chain.entry(SHOP, ANN, 2_00, memo=memo)
    remark = chain.entry(ANN, SHOP, 0, memo=memo)
    strangers = [chain.entry(EVE, ANN, 0, memo=memo), chain.entry(ANN, EVE, 0, memo=memo)]
    tip = chain.block(chain.block(chain.block(None, [paid]), [refund, *strangers]), [remark])
    found = asked(chain, tip, paid)
    assert txids(found["corrected_by"]) == [remark.txid.hex(), refund.txid.hex()]
    assert (found["corrects"], found["corrections_complete"]) == ([], True)
    assert txids(asked(chain, tip, refund)["corrects"]) == [paid.txid.hex()]
    assert asked(chain, tip, strangers[0])["corrects"] == []


def test_corrections_that_are_pending_count_as_such(chain: ChainBuilder) -> None:
    paid = chain.entry(ANN, SHOP, 7_00)
    refund = chain.entry(SHOP, ANN, 7_00, memo=correcting_memo(paid.txid.hex(), ""))
    found = asked(chain, chain.block(None, [paid]), paid, refund)
    assert [(one["txid"], one["status"]) for one in found["corrected_by"]] == [(refund.txid.hex(), "pending")]
    both = asked(chain, chain.block(None), refund, refund, paid)
    assert txids(both["corrects"]) == [paid.txid.hex()]
    assert txids(asked(chain, chain.block(None), paid, refund, paid)["corrected_by"]) == [refund.txid.hex()]


def test_the_shorter_history_decides_and_where_both_are_long_it_is_said(
    chain: ChainBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid = chain.entry(ANN, SHOP, 7_00)
    refund = chain.entry(SHOP, ANN, 1_00, memo=correcting_memo(paid.txid.hex(), ""))
    busy = [chain.entry(SHOP, EVE, 1) for _ in range(40)]
    tip = chain.block(chain.block(None, [paid, refund]), busy)
    monkeypatch.setattr(corrected, "MAX_LOOKED_AT", 20)
    monkeypatch.setattr(corrected, "_PAGE", 3)
    found = asked(chain, tip, paid)
    assert (txids(found["corrected_by"]), found["corrections_complete"]) == ([refund.txid.hex()], True)
    tip = chain.block(tip, [chain.entry(ANN, EVE, 1) for _ in range(40)])
    found = asked(chain, tip, paid)
    assert (found["corrected_by"], found["corrections_complete"]) == ([], False)


def test_a_correction_that_a_miner_put_before_its_entry_is_found(chain: ChainBuilder) -> None:
    paid = chain.entry(ANN, SHOP, 7_00)
    refund = chain.entry(SHOP, ANN, 7_00, memo=correcting_memo(paid.txid.hex(), ""))
    assert txids(asked(chain, chain.block(None, [refund, paid]), paid)["corrected_by"]) == [refund.txid.hex()]


def test_rewards_and_unknown_entries_have_none(chain: ChainBuilder) -> None:
    block = chain.block(None, miner=ANN)
    query = Query(MemoryBook(chain, block), RICH)
    for txid in (block.coinbase_leaf, bytes(32)):
        found = corrections(query, EASY.prefix, query.tx(txid), [])
        assert found == {"corrects": [], "corrected_by": [], "corrections_complete": True}


def test_a_payment_to_oneself_is_corrected_by_oneself(chain: ChainBuilder) -> None:
    paid = chain.entry(ANN, ANN, 0, memo="kye handed over")
    better = chain.entry(ANN, ANN, 0, memo=correcting_memo(paid.txid.hex(), "key"))
    tip = chain.block(chain.block(None, [paid]), [better])
    assert txids(asked(chain, tip, paid)["corrected_by"]) == [better.txid.hex()]
