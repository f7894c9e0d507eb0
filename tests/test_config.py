"""File and flags become one Config, each value with where it came from."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from node.config import Arguments, Config, LogFormat, LogLevel, MiningMode, Web, load
from node.endpoint import Endpoint
from node.ledger.params import BUILT_IN
from node.network_file import format_network
from node.settings import ConfigError

ROOT = Path(__file__).resolve().parent.parent
IDENTITY = "ab" * 32

FULL = f"""\
[node]
port = 9100
host = "::1"
data_dir = "book"
wallet = "shop"
mine = "off"
threads = 2
discovery = false
max_peers = 7
log_format = "json"
log_level = "warning"
log_file = "logs/node.log"
web = false
web_host = "::"
web_port = 9101
web_names = ["shop.lan", "Book.example"]
audit = "6h"
heal = "auto"

[[peers]]
name = "alice"
address = "192.0.2.7:9000"
identity = "{IDENTITY}"

[[peers]]
address = "[2001:db8::7]:9000"
"""


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "share"))
    monkeypatch.setenv("HOME", str(tmp_path_factory.getbasetemp() / "home"))  # macOS looks here


def loaded(text: str, folder: Path, arguments: Arguments | None = None) -> Config:
    (folder / "peers.toml").write_text(text, encoding="utf-8")
    return load(arguments or Arguments(), folder)


def origins(config: Config) -> dict[str, str]:
    return {setting.name: setting.origin for setting in config.settings}


@pytest.mark.parametrize("text", ["", "[node]\n", None])
def test_an_empty_file_or_none_is_the_built_in_network_and_no_peers(tmp_path: Path, text: str | None) -> None:
    config = load(Arguments(), tmp_path) if text is None else loaded(text, tmp_path)
    assert config.parameters == BUILT_IN
    assert config.for_trying_out
    assert config.this_machine_only
    assert config.peers == ()
    assert (config.port, config.host, config.wallet) == (9000, "127.0.0.1", "default")
    assert (config.mine, config.threads) == (MiningMode.ON_DEMAND, 1)
    assert (config.discovery, config.max_peers) == (True, 32)
    assert (config.log_format, config.log_level, config.log_file) == (LogFormat.TEXT, LogLevel.INFO, None)
    assert config.data_dir.parts[-2:] == ("indelible", "9000")
    assert not config.data_dir.exists()
    assert config.web == Web(is_on=True, host="127.0.0.1", port=10_000, names=(), is_chosen=False)
    assert {setting.origin.split(" ")[0] for setting in config.settings} == {"default"}


def test_every_key_of_the_file_arrives_with_its_line(tmp_path: Path) -> None:
    config = loaded(FULL, tmp_path)
    assert (config.port, config.host, config.wallet) == (9100, "::1", "shop")
    assert (config.mine, config.threads) == (MiningMode.OFF, 2)
    assert (config.discovery, config.max_peers) == (False, 7)
    assert (config.log_format, config.log_level) == (LogFormat.JSON, LogLevel.WARNING)
    assert config.data_dir == tmp_path / "book"
    assert config.log_file == tmp_path / "logs/node.log"
    assert [(peer.name, peer.endpoint, peer.identity) for peer in config.peers] == [
        ("alice", Endpoint("192.0.2.7", 9000), bytes.fromhex(IDENTITY)),
        ("[2001:db8::7]:9000", Endpoint("2001:db8::7", 9000), None),
    ]
    assert not config.this_machine_only
    assert config.web == Web(
        is_on=False, host="::", port=9101, names=("shop.lan", "book.example"), is_chosen=True
    )
    assert origins(config) == {
        "port": "peers.toml:2",
        "host": "peers.toml:3",
        "data_dir": "peers.toml:4",
        "wallet": "peers.toml:5",
        "mine": "peers.toml:6",
        "threads": "peers.toml:7",
        "discovery": "peers.toml:8",
        "max_peers": "peers.toml:9",
        "log_format": "peers.toml:10",
        "log_level": "peers.toml:11",
        "log_file": "peers.toml:12",
        "web": "peers.toml:13",
        "web_host": "peers.toml:14",
        "web_port": "peers.toml:15",
        "web_names": "peers.toml:16",
        "audit": "peers.toml:17",
        "heal": "peers.toml:18",
        "network": "default (built in, for trying out)",
        "peers.alice": "peers.toml:20",
        "peers.[2001:db8::7]:9000": "peers.toml:25",
    }
    assert {setting.name: setting.value for setting in config.settings}["peers.alice"] == (
        f"192.0.2.7:9000, identity {IDENTITY}"
    )


def test_flags_win_over_the_file_and_peers_are_added_to_it(tmp_path: Path) -> None:
    flags = Arguments(
        port=9200,
        host="127.0.0.1",
        data_dir=Path("here"),
        mine=MiningMode.ON,
        discovery=False,
        log_format=LogFormat.TEXT,
        log_level=LogLevel.DEBUG,
        log_file=Path("x.log"),
        peers=(Endpoint("127.0.0.1", 1), Endpoint("192.0.2.7", 9000)),
    )
    config = loaded(FULL, tmp_path, flags)
    assert (config.port, config.host, config.mine) == (9200, "127.0.0.1", MiningMode.ON)
    assert (config.data_dir, config.log_file) == (tmp_path / "here", tmp_path / "x.log")
    assert [str(peer.endpoint) for peer in config.peers] == [
        "192.0.2.7:9000",
        "[2001:db8::7]:9000",
        "127.0.0.1:1",
    ]
    found = origins(config)
    assert {found[name] for name in ("port", "host", "data_dir", "mine", "log_format", "log_file")} == {
        "--port",
        "--host",
        "--data-dir",
        "--mine",
        "--log-format",
        "--log-file",
    }
    assert found["discovery"] == "--no-discovery"
    assert found["peers.127.0.0.1:1"] == "--peer"
    assert found["threads"] == "peers.toml:7"


def test_each_port_has_its_own_folder_unless_one_is_named(tmp_path: Path) -> None:
    one, two = (load(Arguments(port=port), tmp_path).data_dir for port in (9000, 9001))
    assert one.name == "9000"
    assert two.name == "9001"


def test_paths_in_a_file_start_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "shop.toml").write_text('[node]\ndata_dir = "book"\nlog_file = "~/x.log"')
    monkeypatch.setenv("HOME", "/home/dexter")
    config = load(Arguments(config=Path("sub/shop.toml")), tmp_path)
    assert config.data_dir == tmp_path / "sub" / "book"
    assert config.log_file == Path("/home/dexter/x.log")
    assert origins(config)["data_dir"] == "sub/shop.toml:2"


@pytest.mark.parametrize(
    "arguments, flag",
    [
        (Arguments(data_dir=Path("~nobody-here/x")), "--data-dir"),
        (Arguments(log_file=Path("~nobody-here/x")), "--log-file"),
    ],
)
def test_the_home_of_nobody_is_refused_by_the_flag_that_names_it(
    tmp_path: Path, arguments: Arguments, flag: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{flag}: no home folder is known for '~nobody"):
        load(arguments, tmp_path)


def test_a_named_file_must_exist_and_is_read_alone(tmp_path: Path) -> None:
    (tmp_path / "peers.toml").write_text("[node]\nport = 9100\nmine = 'off'")
    (tmp_path / "shop.toml").write_text("[node]\nport = 9300")
    config = load(Arguments(config=Path("shop.toml")), tmp_path)
    assert (config.port, config.mine) == (9300, MiningMode.ON_DEMAND)
    with pytest.raises(ConfigError, match=r"no file other\.toml: name a file that is there"):
        load(Arguments(config=Path("other.toml")), tmp_path)


def test_a_network_of_ones_own_comes_from_its_file(tmp_path: Path) -> None:
    shop = replace(BUILT_IN, name="shop", prefix="shop", symbol="CUP")
    (tmp_path / "shop.toml").write_text(format_network(shop, ["For friends."]), encoding="utf-8")
    config = load(Arguments(config=Path("shop.toml")), tmp_path)
    assert config.parameters == shop
    assert not config.for_trying_out
    shown = {setting.name: (setting.value, setting.origin) for setting in config.settings}
    assert shown["network.symbol"] == ("CUP", "shop.toml:9")
    assert shown["network.initial_reward"][0] == "50.00"
    assert shown["network.easiest_bits"][0] == "0x1e03ffff"


@pytest.mark.parametrize(
    "text, message",
    [
        ("[node]\nprot = 1", r"^peers\.toml:2: there is no 'prot' in \[node\]: did you mean \"port\""),
        ("[nodes]", r"^peers\.toml:1: there is no 'nodes': did you mean \"node\""),
        ("port = 1", r"^peers\.toml:1: there is no 'port': it may be node, peers, network"),
        ("[node]\nport = 0", r"^peers\.toml:2: port = '0' cannot be used: .* from 1 to 65535"),
        ("[node]\n\nport = '9000'", r"^peers\.toml:3: .* without quotes"),
        ("[node]\nhost = 'a b'", r"^peers\.toml:2: host: 'a b' is no host"),
        ("[node]\nmine = 'sometimes'", r"^peers\.toml:2: .* \"off\", \"on-demand\", \"on\""),
        ("[node]\nmine = true", r"^peers\.toml:2: mine = 'True' cannot be used"),
        ("[node]\nthreads = 257", r"^peers\.toml:2: .* from 1 to 256"),
        ("[node]\nmax_peers = 0", r"^peers\.toml:2: .* from 1 to 500"),
        ("[node]\nwallet = '../x'", r"^peers\.toml:2: wallet = '\.\./x' cannot be used"),
        ("[node]\ndata_dir = ''", r"^peers\.toml:2: data_dir is no path"),
        ('[node]\ndata_dir = "\\u0000"', r"^peers\.toml:2: data_dir is no path"),
        (
            "[node]\ndata_dir = '~nobody-here/x'",
            r"^peers\.toml:2: data_dir: no home folder is known for '~nob",
        ),
        ("[node]\ndiscovery = 'no'", r"^peers\.toml:2: .* true or false"),
        ("[peers]\nname = 'x'", r"^peers\.toml:1: peers is a list of tables: write \[\[peers\]\]"),
        ("[[peers]]\nname = 'x'", r"^peers\.toml:1: a peer needs an address"),
        ("[[peers]]\naddress = '127.0.0.1'", r"^peers\.toml:2: address: .* is not HOST:PORT"),
        ("[[peers]]\naddress = 'a:1'\nname = 'a\\nb'", r"^peers\.toml:3: name = "),
        ("[[peers]]\naddress = 'a:1'\nidentity = 'AB'", r"^peers\.toml:3: identity = 'AB' cannot be used"),
        ("[[peers]]\naddres = 'a:1'", r"^peers\.toml:2: .* in \[\[peers\]\]: did you mean \"address\""),
        (
            "[[peers]]\naddress = 'a:1'\n[[peers]]\naddress = 'A:1'",
            r"^peers\.toml:4: a:1 is listed twice, first at peers\.toml:1",
        ),
        (
            "[[peers]]\naddress = 'a:1'\nname='x'\n[[peers]]\naddress = 'b:1'\nname='x'",
            r"^peers\.toml:6: another peer is named \"x\"",
        ),
        ("network = 1", r"^peers\.toml:1: network is a table"),
        ("[network]\nname = 'x'", r"^peers\.toml:1: \[network\] lacks"),
        ("[node", r"^peers\.toml:1: "),
    ],
)
def test_a_slip_is_named_with_file_line_and_what_to_write(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        loaded(text, tmp_path)
    assert raised.value.hint


def test_the_projects_own_file_lists_two_nodes_of_this_machine() -> None:
    config = load(Arguments(), ROOT)
    assert [(peer.name, str(peer.endpoint)) for peer in config.peers] == [
        ("first", "127.0.0.1:9000"),
        ("second", "127.0.0.1:9001"),
    ]
    assert config.for_trying_out
    assert config.this_machine_only


def test_the_projects_own_file_shows_each_key_with_its_default() -> None:
    text = (ROOT / "peers.toml").read_text(encoding="utf-8")
    shown = dict(re.findall(r'^# (\w+) = "?([^" ]+)', text, re.MULTILINE))
    defaults = {setting.name: setting.value for setting in load(Arguments(), ROOT).settings}
    for name, value in shown.items():
        if name not in {"identity", "data_dir", "log_file"}:
            assert value == str(defaults[name]).replace("True", "true"), name
    assert {name for name in defaults if "." not in name and name != "network"} <= set(shown)


def test_settings_load_nothing_heavy() -> None:
    program = "import sys, node.arguments, node.config, node.paths; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"rich", "click", "platformdirs", "nacl", "asyncio", "sqlite3", "difflib"}
    assert heavy.isdisjoint(found.stdout.split())


def test_the_page_has_the_port_a_thousand_above_the_nodes(tmp_path: Path) -> None:
    assert load(Arguments(port=9001), tmp_path).web.port == 10_001
    assert load(Arguments(port=65_000), tmp_path).web.port == 64_000


def test_a_port_that_was_named_for_the_page_is_told_from_the_default(tmp_path: Path) -> None:
    assert load(Arguments(web_port=10_000), tmp_path).web.is_chosen
    assert loaded("[node]\nweb_port = 10000\n", tmp_path).web.is_chosen
    assert not load(Arguments(port=9001), tmp_path / "elsewhere").web.is_chosen


def test_the_page_cannot_have_the_nodes_own_port(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--web-port: port 9005 is the node's own"):
        load(Arguments(port=9005, web_port=9005), tmp_path)
    assert not load(Arguments(port=9005, web_port=9005, web=False), tmp_path).web.is_on


@pytest.mark.parametrize(
    "host, url",
    [
        ("127.0.0.1", "http://127.0.0.1:9999/"),
        ("::", "http://[::1]:9999/"),
        ("shop.lan", "http://shop.lan:9999/"),
    ],
)
def test_the_address_of_the_page_can_be_opened(host: str, url: str) -> None:
    assert Web(is_on=True, host=host, port=9999, names=(), is_chosen=True).url == url


@pytest.mark.parametrize("names", ['"shop.lan"', "[7]", '["a/b"]'])
def test_names_of_the_page_are_a_list_of_hosts(tmp_path: Path, names: str) -> None:
    with pytest.raises(ConfigError, match=r"peers\.toml:2: web_names"):
        loaded(f"[node]\nweb_names = {names}\n", tmp_path)
