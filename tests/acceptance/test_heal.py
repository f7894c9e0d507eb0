"""A friend edits a copy of the book: the audit names the entry, and `heal` mends it from the other copy."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from node.storage.sqlite import BOOK_NAME
from tests.acceptance.nodes import QUICK, Lab, Node, agreed, until
from tests.acceptance.test_damage import body_of, edit

pytestmark = pytest.mark.acceptance


class Two(NamedTuple):
    """Two daemons with one book; the second one is stopped, and its copy of a payment is edited."""

    ann: Node
    bob: Node
    txid: str
    height: int
    good: bytes


def network_file(lab: Lab, settings: str) -> Path:
    """Write a network with settings for a node before it."""
    path = lab.network(QUICK, "with-settings.toml")
    text = path.read_text(encoding="utf-8")
    table = "[node]\n"
    text = text.replace(table, table + settings, 1) if table in text else table + settings + text
    path.write_text(text, encoding="utf-8")
    return path


def two_nodes(lab: Lab, settings: str = 'audit = "1s"\n') -> Two:
    """Start two, pay, and edit the memo in the copy of the second while it is stopped."""
    ann = lab.node("ann", "--mine", "off", network=lab.network(QUICK)).start()
    bob = lab.node("bob", "--mine", "off", network=network_file(lab, settings), peers=[ann.address]).start()
    ann.cli("mine", "2")
    txid = ann.cli("send", ann.status()["address"], "12.34", "--memo", "rent for November")["txid"]
    ann.cli("mine", "3")
    agreed([ann, bob], 5)
    height = ann.cli("tx", txid)["height"]
    bob.stop()
    good = body_of(bob, height)
    found = f"(SELECT id FROM main WHERE height = {height})"  # noqa: S608 - a number of ours
    forged = good.replace(b"November", b"Novembex")
    edit(bob, f"UPDATE bodies SET raw = x'{forged.hex()}' WHERE id = {found}")  # noqa: S608 - the same
    return Two(ann, bob, txid, height, good)


def found_by_audit(node: Node) -> dict[str, Any]:
    """Return the first finding of the audit in the background, once it is there."""
    return until(lambda: node.status()["audit"]["first_bad"], "the audit finds the edit")


def test_an_edit_is_named_by_the_audit_and_mended_by_heal_while_the_node_runs(lab: Lab) -> None:
    two = two_nodes(lab)
    two.bob.start()
    bad = found_by_audit(two.bob)
    assert (bad["height"], bad["position"], bad["txid"]) == (two.height, 1, two.txid)
    assert {"name": "memo", "said": "rent for Novembex", "proof": "rent for November"} in bad["fields"]
    assert two.bob.call("audit")["found"][0] == bad
    until(lambda: "Novembex" in two.bob.log(), "the log names what was changed")
    healed = two.bob.cli("heal")
    assert (healed["ok"], healed["healed"], sum(healed["fetched"].values())) == (True, True, 1)
    evidence = Path(healed["evidence"])
    assert {"report.json", BOOK_NAME} <= {path.name for path in evidence.iterdir()}
    assert any(b"Novembex" in path.read_bytes() for path in evidence.glob("*.found"))
    assert json.loads((evidence / "report.json").read_bytes())["ok"]
    until(lambda: _is_back(two.bob), "the node is back")
    assert body_of(two.bob, two.height) == two.good
    agreed([two.ann, two.bob], 5)
    assert two.bob.cli("verify")["ok"]
    two.bob.stop()


def _is_back(node: Node) -> bool:
    try:
        return bool(node.call("audit")["last_heal"]["ok"])
    except (OSError, TypeError):
        return False


def test_a_raised_balance_is_found_when_a_peer_refuses_the_block_that_spends_it(lab: Lab) -> None:
    """A row is believed until the audit counts it; here its time would be a day later."""
    ann = lab.node("ann", "--mine", "off", network=lab.network(QUICK)).start()
    bob = lab.node(
        "bob", "--mine", "off", network=network_file(lab, 'audit = "1d"\n'), peers=[ann.address]
    ).start()
    bob.cli("mine", "1")
    agreed([ann, bob], 1)
    bob.stop()
    edit(bob, "UPDATE accounts SET balance = balance + 1000000")
    bob.start()
    until(lambda: bob.status()["peers"] == 1, "the two are connected again")
    bob.cli("send", ann.status()["address"], "5000", "--memo", "what nobody has")
    bob.cli("mine", "1")
    bad = found_by_audit(bob)
    assert bad["height"] == 2 or "balance" in str(bad)
    until(lambda: "overspend" in ann.log(), "the other one's log names the rule")
    until(lambda: "which was mined here (overspend)" in bob.log(), "its own log tells who refused")
    bob.stop()


def test_a_node_that_may_heal_itself_does(lab: Lab) -> None:
    two = two_nodes(lab, 'audit = "1s"\nheal = "auto"\n')
    two.bob.start()
    until(lambda: _is_back(two.bob), "the node mends its book")
    assert body_of(two.bob, two.height) == two.good
    two.bob.stop()


def test_a_start_with_heal_mends_what_no_node_can_open(lab: Lab) -> None:
    two = two_nodes(lab)
    path = two.bob.folder / BOOK_NAME
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])
    two.bob.command.append("--heal")
    two.bob.start()
    assert two.bob.call("audit")["last_heal"]["ok"]
    agreed([two.ann, two.bob], 5)
    two.bob.stop()


def test_with_no_peer_there_it_says_what_is_missing_and_changes_nothing(lab: Lab) -> None:
    two = two_nodes(lab)
    two.ann.stop()
    before = (two.bob.folder / BOOK_NAME).read_bytes()
    found = two.bob.cli("heal", status=1)
    assert not found["healed"]
    assert len(found["distrusted"]) == 1
    assert two.ann.address in found["distrusted"][0]
    assert any(f"at height {two.height}: no peer has it" in text for text in found["unhealed"])
    assert (two.bob.folder / BOOK_NAME).read_bytes() == before


def test_a_heal_that_is_killed_in_the_middle_is_done_again(lab: Lab) -> None:
    two = two_nodes(lab)
    for _ in range(4):
        process = two.bob.begin("--json", "heal")
        beside = two.bob.folder / f"{BOOK_NAME}.new"
        until(lambda: beside.exists() or process.poll() is not None, "it writes a new book")  # noqa: B023 - called at once
        process.send_signal(signal.SIGKILL)
        with closing(process.stdout), closing(process.stderr):  # type: ignore[type-var]  # both are pipes
            process.wait()
    found = two.bob.cli("heal")
    assert found["ok"]
    assert body_of(two.bob, two.height) == two.good
    assert not (two.bob.folder / f"{BOOK_NAME}.new").exists()
    assert two.bob.cli("verify")["ok"]
