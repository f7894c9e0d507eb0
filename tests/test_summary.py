"""What a node says of itself when it starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from node.config import Arguments, Config, load
from node.endpoint import Endpoint
from node.events import Level
from node.ledger.address import encode_address
from node.network_file import format_network
from node.pow import kernel_name
from node.summary import Opened, cli_command, summary
from tests.building import EASY, key

ANN = key("ann").public
EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens in these tests

TWO_PEERS = """\
[[peers]]
name = "first"
address = "127.0.0.1:9000"
[[peers]]
name = "second"
address = "127.0.0.1:9001"
"""


def opened(config: Config, *, backed_up: bool = True) -> Opened:
    return Opened(
        "0.1.0",
        bytes.fromhex("ab" * 32),
        config.port,
        config.data_dir / "node.sock",
        7,
        ANN,
        backed_up,
        config.web.url if config.web.is_on else None,
    )


def texts(config: Config, *, backed_up: bool = True) -> list[str]:
    return [notice.text for notice in summary(config, opened(config, backed_up=backed_up))]


def test_the_start_tells_what_runs_where(tmp_path: Path) -> None:
    config = load(
        Arguments(data_dir=tmp_path / "ann", port=9001, peers=(Endpoint("127.0.0.1", 9000),)), tmp_path
    )
    name, folder = config.parameters.name, tmp_path / "ann"
    address = encode_address("bean", ANN)
    assert texts(config) == [
        f"Indelible 0.1.0 on the network {name} (abababab…), for trying out: its coins are worth nothing",
        "listens on 127.0.0.1:9001, this machine only",
        f"folder {folder}",
        f"socket {folder}/node.sock",
        "peers: 127.0.0.1:9000",
        "book at height 7",
        f"mining ({kernel_name()}) is on-demand and pays the wallet default: {address}",
        "page http://127.0.0.1:10001/",
        f"in another terminal: python cli.py --data-dir {folder} status",
    ]


def test_programs_find_it_all_in_the_first_notice(tmp_path: Path) -> None:
    config = load(Arguments(data_dir=tmp_path), tmp_path)
    fields = summary(config, opened(config))[0].fields
    assert fields == {
        "version": "0.1.0",
        "network": config.parameters.name,
        "network_id": "ab" * 32,
        "for_trying_out": True,
        "listens": "127.0.0.1:9000",
        "this_machine_only": True,
        "folder": str(tmp_path),
        "socket": str(tmp_path / "node.sock"),
        "peers": [],
        "height": 7,
        "mode": "on-demand",
        "kernel": kernel_name(),
        "wallet": "default",
        "address": encode_address("bean", ANN),
        "backed_up": True,
        "page": "http://127.0.0.1:10000/",
    }

    without = load(Arguments(data_dir=tmp_path, web=False), tmp_path)
    assert summary(without, opened(without))[0].fields["page"] is None
    assert not any(text.startswith("page") for text in texts(without))


def test_a_page_that_others_can_read_is_told_of_as_such(tmp_path: Path) -> None:
    config = load(Arguments(data_dir=tmp_path, web_host=EVERYWHERE), tmp_path)
    assert "page http://127.0.0.1:10000/, which other machines can read" in texts(config)


def test_a_book_of_ones_own_open_to_others_is_not_called_a_trial(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(format_network(EASY))
    config = load(Arguments(config=Path("shop.toml"), host=EVERYWHERE), tmp_path)
    said = texts(config)
    assert said[0] == "Indelible 0.1.0 on the network for-tests (abababab…)"
    assert said[1] == "listens on 0.0.0.0:9000"


def test_the_owner_is_reminded_of_a_backup_until_there_is_one(tmp_path: Path) -> None:
    config = load(Arguments(data_dir=tmp_path), tmp_path)
    reminders = [n for n in summary(config, opened(config, backed_up=False)) if n.kind == "backup-missing"]
    assert [(n.level, n.fields) for n in reminders] == [(Level.WARNING, {"wallet": "default"})]
    assert reminders[0].text.endswith(" wallet backup default PLACE")
    assert not [n for n in summary(config, opened(config)) if n.level > Level.INFO]


def test_a_node_does_not_list_itself_among_its_peers(tmp_path: Path) -> None:
    (tmp_path / "peers.toml").write_text(TWO_PEERS)
    assert "peers: second 127.0.0.1:9001" in texts(load(Arguments(), tmp_path))
    assert "peers: first 127.0.0.1:9000" in texts(load(Arguments(port=9001), tmp_path))
    assert "peers: second 127.0.0.1:9001" in texts(load(Arguments(host=EVERYWHERE), tmp_path))
    elsewhere = load(Arguments(host="192.0.2.7"), tmp_path)
    assert "peers: first 127.0.0.1:9000, second 127.0.0.1:9001" in texts(elsewhere)


def test_without_peers_it_says_how_to_name_some(tmp_path: Path) -> None:
    assert "no peers are configured: name some in peers.toml or with --peer HOST:PORT" in texts(
        load(Arguments(), tmp_path)
    )


def test_commands_are_shown_as_they_find_this_node(tmp_path: Path) -> None:
    assert cli_command(load(Arguments(), tmp_path)) == "python cli.py"
    assert cli_command(load(Arguments(port=9001), tmp_path)) == "python cli.py --port 9001"
    named = replace(load(Arguments(data_dir=tmp_path / "a b"), tmp_path))
    assert cli_command(named) == f"python cli.py --data-dir '{tmp_path}/a b'"
