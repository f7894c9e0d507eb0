"""Whether to hand over the cup: each rule of the table, from both sides."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.settled import RULES, Facts, settled
from tests.sources import ROOT

PENDING = Facts(status="pending", peers=3, having=2)
CONFIRMED = Facts(status="confirmed", confirmations=6, peers=3, having=2)
SHALLOW = CONFIRMED._replace(confirmations=5)


@pytest.mark.parametrize(
    "facts, verdict, rule",
    [
        (Facts(status="unknown"), "no", "unknown"),
        (Facts(status="conflicted", peers=3, having=3), "no", "lost"),
        (PENDING, "likely", "heard"),
        (PENDING._replace(having=1), "likely", "heard"),
        (PENDING._replace(having=0), "no", "unheard"),
        (PENDING._replace(having=0, peers=0), "no", "unheard"),
        (PENDING._replace(has_gap=True), "no", "nonce-gap"),
        (PENDING._replace(clock_offset_ms=15_000), "likely", "heard"),
        (PENDING._replace(clock_offset_ms=15_001), "no", "clock-pending"),
        (PENDING._replace(clock_offset_ms=-15_001), "no", "clock-pending"),
        (PENDING._replace(has_rival=True), "no", "rival-entry"),
        (PENDING._replace(is_synced=False, sync_reason="downloading"), "no", "not-synced"),
        (PENDING._replace(findings=1), "no", "damaged-copy"),
        (PENDING._replace(lead=0), "no", "heavier-branch"),
        (PENDING._replace(lead=1), "likely", "heard"),
        (CONFIRMED, "yes", "settled"),
        (CONFIRMED._replace(confirmations=1_000), "yes", "settled"),
        (CONFIRMED._replace(peers=1, having=1), "yes", "settled"),
        (CONFIRMED._replace(peers=2, having=1), "likely", "few-copies"),
        (CONFIRMED._replace(peers=0, having=0), "likely", "alone"),
        (CONFIRMED._replace(clock_offset_ms=15_001), "likely", "clock"),
        (CONFIRMED._replace(lead=-1), "no", "heavier-branch"),
        (CONFIRMED._replace(lead=0), "no", "heavier-branch"),
        (CONFIRMED._replace(lead=1), "likely", "near-branch"),
        (CONFIRMED._replace(lead=2), "likely", "near-branch"),
        (CONFIRMED._replace(lead=3), "yes", "settled"),
        (CONFIRMED._replace(has_rival=True, lead=5), "no", "rival-entry"),
        (CONFIRMED._replace(is_synced=False), "no", "not-synced"),
        (CONFIRMED._replace(findings=2), "no", "damaged-copy"),
        (SHALLOW, "likely", "shallow"),
        (SHALLOW._replace(age_ms=59_999), "likely", "shallow"),
        (SHALLOW._replace(age_ms=60_000), "yes", "settled"),
        (SHALLOW._replace(age_ms=60_000, confirmations=1), "yes", "settled"),
        (CONFIRMED._replace(rewrite_s=29), "likely", "shallow"),
        (CONFIRMED._replace(rewrite_s=30), "yes", "settled"),
        (CONFIRMED._replace(rewrite_s=0, age_ms=60_000), "yes", "settled"),
    ],
)
def test_each_rule_of_the_table_decides_on_its_own_side_of_the_line(
    facts: Facts, verdict: str, rule: str
) -> None:
    assert settled(facts)[:2] == (verdict, rule)


@pytest.mark.parametrize(
    "facts, said",
    [
        (PENDING, "2 of 3 peers heard of it; its sender can take it back until a block holds it"),
        (PENDING._replace(peers=0, having=0), "no block holds it yet, and no other node is connected"),
        (PENDING._replace(has_gap=True), "it waits for an earlier entry of its sender"),
        (PENDING._replace(findings=1), "found 1 fault in this copy"),
        (PENDING._replace(clock_offset_ms=-61_500), "clock is 61 s off from its peers'"),
        (SHALLOW._replace(confirmations=1), "it is 1 block deep; it is settled 6 deep, or once it has stood"),
        (CONFIRMED._replace(rewrite_s=90), "would need 90 s to rewrite it"),
        (CONFIRMED._replace(rewrite_s=600), "would need 10 min to rewrite it"),
        (CONFIRMED._replace(rewrite_s=7_200), "would need 2 h to rewrite it"),
        (CONFIRMED._replace(rewrite_s=10**6), "would need 11 days to rewrite it"),
        (CONFIRMED, "it is 6 blocks deep, known to 2 of 3 peers, and there is no rival"),
    ],
)
def test_the_reason_says_in_words_what_decided(facts: Facts, said: str) -> None:
    assert said in settled(facts).reason


FACTS = st.builds(
    Facts,
    status=st.sampled_from(["pending", "confirmed", "conflicted", "unknown"]),
    confirmations=st.integers(0, 20),
    age_ms=st.integers(0, 200_000),
    peers=st.integers(0, 5),
    having=st.integers(0, 5),
    is_synced=st.booleans(),
    clock_offset_ms=st.integers(-40_000, 40_000),
    has_gap=st.booleans(),
    has_rival=st.booleans(),
    lead=st.none() | st.integers(-3, 8),
    rewrite_s=st.none() | st.integers(0, 100),
    findings=st.integers(0, 1),
)
WORSE: list[dict[str, Any]] = [
    {"having": 0},
    {"peers": 0, "having": 0},
    {"is_synced": False},
    {"clock_offset_ms": 40_000},
    {"has_gap": True},
    {"has_rival": True},
    {"lead": 0},
    {"findings": 1},
    {"status": "unknown"},
    {"status": "conflicted"},
]
RANK = {"no": 0, "likely": 1, "yes": 2}


@given(facts=FACTS, worse=st.sampled_from(WORSE))
def test_bad_news_never_make_a_verdict_better(facts: Facts, worse: dict[str, Any]) -> None:
    assert RANK[settled(facts._replace(**worse)).verdict] <= RANK[settled(facts).verdict]


@given(facts=FACTS)
def test_yes_takes_a_block_another_copy_and_no_rival(facts: Facts) -> None:
    if settled(facts).verdict == "yes":
        assert facts.status == "confirmed"
        assert facts.having > 0
        assert facts.is_synced
        assert not facts.has_rival
        assert not facts.findings


def test_the_document_lists_the_rules_as_they_are_tried() -> None:
    text = (ROOT / "docs" / "counter.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z-]+)` \| (no|likely|yes) \|", text, re.MULTILINE)
    assert listed == [(rule.name, rule.verdict) for rule in RULES]
