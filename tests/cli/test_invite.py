"""The file that invites a friend: complete, without keys, and honest about where this node is reached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from node.cli import invite
from node.config import Arguments, load
from node.ledger.params import BUILT_IN
from tests.building import EASY
from tests.cli.conftest import Shell
from tests.fake_node import FakeNode

NODE_ID = "ab" * 32


@pytest.fixture(autouse=True)
def _network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake node's book is in memory: its parameters are not read from a file."""
    monkeypatch.setattr(invite, "_parameters", lambda _: EASY)


@pytest.fixture
def listening(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: list[dict[str, Any]] = [
        {"name": "host", "value": "192.168.1.5", "origin": "default"},
        {"name": "port", "value": 9000, "origin": "default"},
        {"name": "node_id", "value": NODE_ID, "origin": "its own key"},
    ]
    monkeypatch.setattr(node, "settings", lambda: settings)


def listen_on(node: FakeNode, host: str) -> None:
    next(each for each in node.settings() if each["name"] == "host")["value"] = host


@pytest.mark.usefixtures("listening")
def test_a_node_starts_with_the_file_and_knows_whom_to_dial(shell: Shell, tmp_path: Path) -> None:
    answer = shell.ask("invite", "ann", "--me", "shop")
    assert answer["file"] == str(tmp_path / "ann.toml")
    assert answer["addresses"] == ["192.168.1.5:9000"]
    config = load(Arguments(config=Path(answer["file"])))
    assert config.parameters == EASY
    (peer,) = config.peers
    assert (peer.name, str(peer.endpoint), peer.identity) == (
        "shop",
        "192.168.1.5:9000",
        bytes.fromhex(NODE_ID),
    )


@pytest.mark.usefixtures("listening")
def test_the_file_says_what_to_do_next_and_holds_no_key(shell: Shell, node: FakeNode, tmp_path: Path) -> None:
    shell.ask("invite", "ann", "-o", "for ann.toml")
    text = (tmp_path / "for ann.toml").read_text()
    assert "python -m node --config 'for ann.toml'" in text
    assert "wallet show" in text
    for path in (node.folder / "wallets").iterdir():
        held = json.loads(path.read_text()) if path.suffix == ".json" else {}
        assert all(str(value) not in text for value in held.values() if len(str(value)) > 31)


@pytest.mark.usefixtures("listening")
def test_who_listens_on_loopback_is_told_what_to_change(shell: Shell, node: FakeNode) -> None:
    listen_on(node, "127.0.0.1")
    answer = shell.ask("invite", "ann")
    assert answer["addresses"] == ["127.0.0.1:9000"]
    assert "--host 0.0.0.0" in answer["warnings"][0]
    said = shell.type("invite", "bob")
    assert 'host = "0.0.0.0"' in said.stderr
    assert said.exit_code == 0


@pytest.mark.usefixtures("listening")
def test_who_listens_everywhere_gives_the_address_towards_the_world(
    shell: Shell, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen_on(node, "0.0.0.0")  # noqa: S104 - nothing listens
    monkeypatch.setattr(invite, "_own_addresses", lambda _: ["203.0.113.7"])
    answer = shell.ask("invite", "ann")
    assert (answer["addresses"], answer["warnings"]) == (["203.0.113.7:9000"], [])
    monkeypatch.setattr(invite, "_own_addresses", lambda _: ["10.0.0.7", "2001:db8::5"])
    assert shell.ask("invite", "bob")["addresses"] == ["10.0.0.7:9000", "[2001:db8::5]:9000"]
    monkeypatch.setattr(invite, "_own_addresses", lambda _: ["10.0.0.7"])
    assert "router" in shell.ask("invite", "cleo")["warnings"][0]
    monkeypatch.setattr(invite, "_own_addresses", lambda _: [])
    assert shell.fail("invite", "dora")["code"] == "no-address"


@pytest.mark.usefixtures("listening")
def test_an_address_that_is_given_is_taken(shell: Shell) -> None:
    words = ["--address", "shop.example:9000", "--address", "192.0.2.1:9001"]
    answer = shell.ask("invite", "ann", *words)
    assert answer["addresses"] == ["shop.example:9000", "192.0.2.1:9001"]
    peers = load(Arguments(config=Path(answer["file"]))).peers
    assert [peer.name for peer in peers] == ["inviter", "inviter-2"]
    assert shell.fail("invite", "bob", "--address", "nowhere", status=2)["code"] == "bad-endpoint"


@pytest.mark.usefixtures("listening")
def test_nothing_is_overwritten_and_names_are_plain(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "ann.toml").write_text("mine")
    assert shell.fail("invite", "ann")["code"] == "file-exists"
    assert (tmp_path / "ann.toml").read_text() == "mine"
    for words in (["../ann"], ["ann\n[node]"], ["ann", "--me", 'x"\n']):
        assert shell.fail("invite", *words, status=2)["code"] == "bad-name"


@pytest.mark.usefixtures("listening")
def test_the_network_for_trying_out_says_what_it_is(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invite, "_parameters", lambda _: BUILT_IN)
    answer = shell.ask("invite", "ann")
    assert "worth nothing" in answer["warnings"][-1]
    assert "worth nothing" in Path(answer["file"]).read_text()
    assert load(Arguments(config=Path(answer["file"]))).parameters == BUILT_IN
