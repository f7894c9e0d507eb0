"""docs/protocol.md says what the program does: every code, number, bound and limit in its tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from node import gossip, messages, protocol, sync
from node.frames import limits
from node.ledger.block import network_id
from node.ledger.errors import Rule
from node.ledger.params import BUILT_IN, Parameters, ParametersError, validate
from node.messages import RESERVED, Type, rules_hash
from node.protocol import COSTS, Fault
from tests.vectors.generate.__main__ import FILES, PROJECT

TEXT = (PROJECT / "docs" / "protocol.md").read_text(encoding="utf-8")
DAY = 86_400_000


def section(heading: str) -> str:
    """Return the text from a heading to the next one of its kind or above."""
    level = heading.index(" ")
    _, _, rest = TEXT.partition(f"\n{heading}")
    assert rest, heading
    return re.split(rf"\n#{{2,{level}}} ", rest)[0]


def rows(heading: str) -> Iterator[list[str]]:
    """Yield the cells of each row of a section's tables, heads and rules left out."""
    lines = section(heading).splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("| ") and not following.startswith("| ---") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def changed(parameters: Parameters, name: str, value: int) -> Parameters:
    change: dict[str, Any] = {name: value}
    return replace(parameters, **change)


def number(text: str) -> int:
    return int(text.replace(",", ""), 0)


def test_every_rule_has_one_row_and_every_row_a_rule() -> None:
    found = [cells[0].strip("`") for tier in ("### 9.1", "### 9.2", "### 9.3") for cells in rows(tier)]
    assert sorted(found) == sorted(rule.value for rule in Rule)


def test_the_rules_that_say_nothing_about_the_header_are_marked() -> None:
    marked = {
        cells[0].strip("`")
        for tier in ("### 9.1", "### 9.2", "### 9.3")
        for cells in rows(tier)
        if cells[2] == "no"
    }
    assert marked == {rule.value for rule in Rule if rule.says_nothing_about_the_header}


def test_every_message_stands_there_with_its_number_and_limit() -> None:
    told = {cells[0]: cells for cells in rows("## 13.") if cells[0] and cells[1] not in {"0", "-"}}
    assert {name: int(cells[1]) for name, cells in told.items()} == {one.name: one.value for one in Type}
    for kind, limit in limits(replace(BUILT_IN, maximum_block_bytes=0)).items():
        fixed = re.sub(r"^`maximum_block_bytes`( / \d+)? \+ ", "", told[Type(kind).name][2])
        assert fixed == str(limit)
    shares = {Type.BLOCK: 1, Type.COMPACT_BLOCK: 16, Type.GET_BLOCK_ENTRIES: 32, Type.BLOCK_ENTRIES: 1}
    for one, share in shares.items():
        assert f"`maximum_block_bytes`{f' / {share}' if share > 1 else ''} +" in told[one.name][2]
        most = limits(replace(BUILT_IN, maximum_block_bytes=1 << 20))[one]
        assert most == (1 << 20) // share + 1024


def test_every_fault_of_the_wire_stands_there_with_its_cost() -> None:
    told = {cells[0].strip("`"): cells[1] for cells in rows("## 15.")}
    assert {fault.value: told.get(fault.value) for fault in Fault} == {
        fault.value: str(cost) for fault, cost in COSTS.items()
    }


def test_reserved_numbers_stand_there() -> None:
    told = {cells[2].partition(";")[0]: cells[1] for cells in rows("## 17.")}
    for first, names in (("48", "GET_VOTES, VOTES"),):
        assert told[names].startswith(first)
    assert [kind for kind, _, _ in RESERVED] == [48, 49]


def test_the_built_in_network_is_the_one_in_the_table() -> None:
    told = {cells[1].strip("`"): cells[3].strip("`") for cells in rows("### 2.1")}
    for name in ("name", "prefix", "symbol"):
        assert told[name] == getattr(BUILT_IN, name)
    for name in ("allocations", "members"):
        assert told[name] == "none"
        assert getattr(BUILT_IN, name) == ()
    others = set(told) - {"name", "prefix", "symbol", "allocations", "members", "encoding version"}
    assert {name: number(told[name]) for name in others} == {name: getattr(BUILT_IN, name) for name in others}
    assert len(told) == 20
    assert network_id(BUILT_IN).hex() in section("### 2.2")


@pytest.mark.parametrize(
    "name",
    [
        *("decimals", "interval_ms", "half_life_ms", "genesis_ms", "maximum_block_bytes", "drift_ms"),
        *("lifetime_ms", "maturity"),
    ],
)
def test_the_bounds_in_the_table_are_the_bounds_in_force(name: str) -> None:
    text = next(cells[2] for cells in rows("### 2.1") if cells[1] == f"`{name}`")
    found = re.match(r"([\d,]+) to ([\d,]+)", text)
    assert found is not None
    least, most = number(found[1]), number(found[2])
    room: dict[str, Any] = {
        "interval_ms": 100,
        "half_life_ms": 365 * DAY,
        "lifetime_ms": 3_650 * DAY,
        "drift_ms": 1_000,
    }
    parameters = replace(BUILT_IN, **room)
    if name in {"interval_ms", "drift_ms"}:  # relations hold at both ends
        parameters = replace(parameters, half_life_ms=365 * DAY)
    for value in (least, most):
        validate(changed(parameters, name, value))
    for value in (least - 1, most + 1):
        with pytest.raises(ParametersError, match=name):
            validate(changed(parameters, name, value))


def test_tags_and_limits_of_behaviour_are_those_of_the_program() -> None:
    assert "`indelible/entry/1`" in section("## 17.")
    assert protocol.AUTH_TAG == b"indelible/auth/1\x00"
    behaviour = section("## 14.")
    for phrase, value in (
        (f"at most {messages.MAX_HEADERS:,}", 2_000),
        (f"1 to {gossip.TOLD_AT_ONCE} headers", 8),
        (f"at most {sync.IN_FLIGHT} blocks", 16),
        (f"more than {gossip.SERVED_BLOCKS};", 64),
        (f"the block {sync.NEAR_BLOCKS} below", 40),
    ):
        assert phrase in behaviour, (phrase, value)
    assert rules_hash([(0, 1)]) == rules_hash()


def test_every_golden_vector_is_listed() -> None:
    listed = set(re.findall(r"`(\w+\.json)`", section("## 18.")))
    assert listed == {path.rpartition("/")[2] for path in FILES if path.startswith("tests/")}


def test_links_inside_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
