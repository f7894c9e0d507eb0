"""The chain over a store in memory, against the golden blocks: what is condemned, and which branch leads."""

from __future__ import annotations

from typing import Any

import pytest

from node.chain import Chain
from node.checks import SignatureChecks
from node.events import CheckSignatures, Persist
from node.ledger.block import decode_block, decode_header, hash_header, network_id
from node.ledger.errors import RuleBroken
from node.ledger.signature import verify_many
from node.ledger.state import Account
from node.outbox import Outbox
from node.outcomes import BlockCondemned
from node.storage.memory import memory_disk, open_memory
from node.storage.port import BlockRecord, Standing
from tests.test_params import NETWORKS, parameters_of
from tests.vectors.read import read

VECTORS = read("blocks.json")
BLOCKS = {case["name"]: case for case in VECTORS["blocks"]}
PEER = 7
LATE_MS = 4_000_000_000_000
"""A clock by which no block is from the future."""


class Node:
    """A chain whose disk and signature threads answer at once."""

    def __init__(self, network: str) -> None:
        parameters = parameters_of(NETWORKS[network]["parameters"])
        self.disk = memory_disk(parameters)
        self.store, self.writer = open_memory(self.disk)
        self.out = Outbox(self.store)
        self.checks = SignatureChecks(self.out)
        self.chain = Chain(
            parameters, network_id(parameters), self.store, self.out, self.checks, lambda _: False
        )

    def settle(self) -> None:
        """Carry out what the chain asks for until it has nothing more to do."""
        while True:
            more = self.chain.advance(LATE_MS)
            effects = self.out.drain()
            for effect in effects:
                if isinstance(effect, Persist):
                    self.writer.commit([effect.batch])
                    self.out.persisted(effect.batch.number)
                elif isinstance(effect, CheckSignatures):
                    self.checks.answered(effect.job, verify_many(effect.items))
            if not (more or effects):
                return

    def give(self, raw: bytes) -> str | None:
        """Hand over a block, its header first; return the rule it breaks."""
        self.chain.outcomes.clear()
        try:
            header = decode_block(raw).header
            self.chain.headers.add([header], LATE_MS, PEER)
            self.chain.offer(raw, PEER)
        except RuleBroken as broken:
            self.settle()
            return broken.rule.value
        self.settle()
        broken_rules = [
            outcome.broken.rule.value
            for outcome in self.chain.outcomes
            if isinstance(outcome, BlockCondemned)
        ]
        assert len(broken_rules) <= 1
        return broken_rules[0] if broken_rules else None

    def give_up_to(self, name: str) -> None:
        """Hand over a block of the vectors and all before it."""
        if name != "genesis":
            self.give_up_to(BLOCKS[name]["parent"])
            assert self.give(bytes.fromhex(BLOCKS[name]["block"])) is None

    def record(self, block_hash: bytes) -> BlockRecord | None:
        return self.store.find(block_hash)


def hash_inside(raw: bytes) -> bytes:
    """Return the hash of the header that stands in these bytes, where one does."""
    return hash_header(raw[3:95])


def followed(network: str, name: str) -> Node:
    """Return a node that has a block of the vectors for its tip."""
    node = Node(network)
    node.give_up_to(name)
    return node


@pytest.mark.parametrize("name", ["e6", "s7", "slow4", "fast3", "full"])
def test_the_valid_blocks_are_followed_to_the_accounts_of_the_vectors(name: str) -> None:
    case = BLOCKS[name]
    node = followed(case["network"], name)
    tip = node.chain.tip
    assert tip.hash.hex() == case["hash"]
    assert (hex(tip.work), tip.chain_time) == (case["cumulative_work"], case["chain_time"])
    accounts = {bytes.fromhex(owner): Account(*account) for owner, *account in case["accounts"]}
    assert node.disk.accounts == accounts


@pytest.mark.parametrize("case", VECTORS["bad"], ids=lambda case: case["why"])
def test_a_bad_block_is_refused_by_its_rule_and_the_good_tip_stays(case: dict[str, Any]) -> None:
    node = followed(case["network"], case["parent"])
    tip, accounts = node.chain.tip, dict(node.disk.accounts)
    raw = bytes.fromhex(case["block"])
    assert node.give(raw) == case["rule"]
    assert node.chain.tip == tip
    assert node.disk.accounts == accounts
    record = node.record(hash_inside(raw))
    if case["condemns"]:
        assert record is not None
        assert (record.standing, record.rule) == (Standing.CONDEMNED, case["rule"])
        assert node.chain.headers.best == tip
    else:
        assert record is None or record.standing is not Standing.CONDEMNED


@pytest.mark.parametrize("case", VECTORS["bad_headers"], ids=lambda case: case["why"])
def test_a_bad_header_never_enters_the_tree(case: dict[str, Any]) -> None:
    node = followed(case["network"], case["parent"])
    header = decode_header(bytes.fromhex(case["header"]))
    with pytest.raises(RuleBroken) as caught:
        node.chain.headers.add([header], LATE_MS, PEER)
    # The tree finds the parent by the hash named, so that of a block named wrongly it sees the first slip.
    if case["rule"] == "unknown-parent" and node.record(header.previous) is not None:
        assert caught.value.rule.value == "header-height"
    else:
        assert caught.value.rule.value == case["rule"]
    assert node.record(header.hash) is None


def test_a_body_that_is_not_its_own_leaves_the_header_open_to_the_right_one() -> None:
    foreign = next(case for case in VECTORS["bad"] if case["why"] == "no entries")
    node = followed("easy", foreign["parent"])
    assert node.give(bytes.fromhex(foreign["block"])) == "entries-root"
    assert node.give(bytes.fromhex(BLOCKS["e6"]["block"])) is None
    assert node.chain.tip.hash.hex() == BLOCKS["e6"]["hash"]


@pytest.mark.parametrize("case", VECTORS["heirs"], ids=lambda case: case["why"])
def test_what_descends_from_a_condemned_block_is_condemned(case: dict[str, Any]) -> None:
    node = followed(case["network"], case["parent"])
    tip = node.chain.tip
    assert [node.give(bytes.fromhex(raw)) for raw in case["blocks"][:2]] == case["rules"][:2]
    assert node.chain.tip == tip


@pytest.mark.parametrize("case", VECTORS["heirs"], ids=lambda case: case["why"])
def test_descendants_known_before_are_condemned_along(case: dict[str, Any]) -> None:
    node = followed(case["network"], case["parent"])
    raws = [bytes.fromhex(raw) for raw in case["blocks"]]
    node.chain.headers.add([decode_block(raw).header for raw in raws], LATE_MS, PEER)
    assert node.give(raws[0]) == case["rules"][0]
    records = [node.record(hash_inside(raw)) for raw in raws]
    assert [record and (record.standing, record.rule) for record in records] == [
        (Standing.CONDEMNED, rule) for rule in case["rules"]
    ]


@pytest.mark.parametrize("case", VECTORS["switches"], ids=lambda case: case["why"])
def test_the_branch_with_most_work_leads_and_the_first_seen_wins_a_tie(case: dict[str, Any]) -> None:
    node = followed(case["network"], case["start"])
    for step in case["steps"]:
        assert node.give(bytes.fromhex(BLOCKS[step["block"]]["block"])) is None
        assert node.chain.tip.hash.hex() == BLOCKS[step["tip"]]["hash"]
    accounts = {bytes.fromhex(owner): Account(*account) for owner, *account in case["accounts"]}
    assert node.disk.accounts == accounts
