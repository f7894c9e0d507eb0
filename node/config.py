"""The settings of a node: the file, then the flags, become one frozen Config.

Reads one settings file; no sockets. Every key has a default, flags win over the file, and each effective
value knows where it came from, for the `config` command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from node import network_file, paths
from node.endpoint import LEAST_PORT, MAX_PORT, Endpoint, is_loopback, parse_endpoint, parse_host
from node.ledger.params import BUILT_IN, Parameters
from node.private import PathError, expanded
from node.settings import ConfigError, Table, no_file, read_file

FILE_NAME: Final = "peers.toml"
"""Read from the working folder when it is there and no other file is named."""

T = TypeVar("T")


class MiningMode(StrEnum):
    """When a node mines by itself; `mine N` works in every mode."""

    OFF = "off"
    ON_DEMAND = "on-demand"
    ON = "on"


class Healing(StrEnum):
    """What happens when the audit in the background finds damage."""

    OFF = "off"
    """It is told; `heal` mends it."""
    AUTO = "auto"
    """The node stops, is mended, and goes on."""


class LogFormat(StrEnum):
    """How the log is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The least that a log line must matter."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


DEFAULT_PORT: Final = 9000
WEB_PORTS_ON: Final = 1_000
"""The page's port is the node's and so many more; fewer, where there are no more."""
_MAX_THREADS: Final = 256
_MAX_PEERS: Final = 500
"""Connections; each holds memory for what it may send and be sent."""
_WALLET: Final = re.compile(r"[a-z0-9_-]{1,32}")
_INTERVAL: Final = re.compile(r"off|[1-9][0-9]{0,4}[smhd]")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PEER_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{1,32}")
_FLAGS: Final = {"discovery": "no-discovery", "web": "no-web"}
"""Flags that are not called as their setting."""

_NODE_KEYS: Final = (
    "port",
    "host",
    "data_dir",
    "wallet",
    "mine",
    "threads",
    "discovery",
    "max_peers",
    "log_format",
    "log_level",
    "log_file",
    "web",
    "web_host",
    "web_port",
    "web_names",
    "audit",
    "heal",
)
_PEER_KEYS: Final = ("name", "address", "identity")


@dataclass(frozen=True, slots=True)
class Arguments:
    """What was given on the command line; None for what was not."""

    port: int | None = None
    data_dir: Path | None = None
    config: Path | None = None
    peers: tuple[Endpoint, ...] = ()
    mine: MiningMode | None = None
    host: str | None = None
    discovery: bool | None = None
    log_format: LogFormat | None = None
    log_level: LogLevel | None = None
    log_file: Path | None = None
    web: bool | None = None
    web_host: str | None = None
    web_port: int | None = None
    heal: bool = False
    """Mend the book before the node starts; no setting, for it is done once."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A node to stay connected to."""

    name: str
    """For people; its address where the file gives none."""
    endpoint: Endpoint
    identity: bytes | None
    """The 32-byte identity key that it must prove before the log calls it by this name; None: any."""
    origin: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective value, and where it came from: `default`, `peers.toml:7` or `--port`."""

    name: str
    value: str | int | bool | None
    origin: str


@dataclass(frozen=True, slots=True)
class Web:
    """Where the node shows its page, and whether it does."""

    is_on: bool
    host: str
    """Address that it listens on."""
    port: int
    names: tuple[str, ...]
    """Host names that it may be asked for by, beside its addresses and those of this machine."""
    is_chosen: bool
    """Whether the port was named, or is the default, without which the node runs as well."""

    @property
    def url(self) -> str:
        """The first page, as this machine reaches it."""
        host = _EVERYWHERE.get(self.host, self.host)
        return f"http://{Endpoint(host, self.port)}/"


_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not opened
"""Hosts that stand for all addresses, and this machine's own among them."""


@dataclass(frozen=True, slots=True)
class Config:
    """All that a node is told from outside."""

    port: int
    """TCP port that it listens on."""
    host: str
    """Address that it listens on."""
    data_dir: Path
    """Absolute; not made yet."""
    wallet: str
    """Name of the wallet that mined coins go to."""
    mine: MiningMode
    threads: int
    """Processes that search for proof of work."""
    discovery: bool
    """Learn further nodes from peers, and connect to them."""
    max_peers: int
    """Connections at a time, both directions together."""
    log_format: LogFormat
    log_level: LogLevel
    log_file: Path | None
    """Absolute; None is standard error."""
    web: Web
    audit_s: int
    """Seconds between two readings of the whole book in the background; 0: none."""
    heal: Healing
    parameters: Parameters
    peers: tuple[Peer, ...]
    settings: tuple[Setting, ...] = field(repr=False)
    """Every value above again, with its origin, as the `config` command shows it."""

    @property
    def for_trying_out(self) -> bool:
        """True on the built-in network, whose coins are for nothing but trying out."""
        return self.parameters == BUILT_IN

    @property
    def this_machine_only(self) -> bool:
        """True when nothing that was configured leads beyond loopback."""
        return is_loopback(self.host) and all(is_loopback(peer.endpoint.host) for peer in self.peers)


def load(arguments: Arguments, folder: Path | None = None) -> Config:
    """Return the settings from the file and the flags; `folder` is the working folder.

    Raises ConfigError, naming file and line, for what cannot be used. Makes nothing on the disk.
    """
    folder = Path.cwd() if folder is None else folder.absolute()
    table = _settings_file(arguments.config, folder)
    table.refuse_unknown(("node", "peers", "network"))
    node = table.table("node")
    node.refuse_unknown(_NODE_KEYS)
    beside = folder / Path(table.file).parent  # paths in a file start where the file is
    choose = _Chooser(node)
    port = choose("port", arguments.port, node.integer("port", LEAST_PORT, MAX_PORT), DEFAULT_PORT)
    host = choose("host", arguments.host, node.read("host", parse_host), "127.0.0.1")
    from_flag = _under(folder, arguments.data_dir, "--data-dir")
    data_dir = choose("data_dir", from_flag, _path(node, "data_dir", beside), None)
    if data_dir is None:
        data_dir = choose.again("data_dir", paths.default_data_dir(port))
    wallet = choose("wallet", None, _word(node, "wallet", _WALLET, "a-z, 0-9, _ and -"), "default")
    mine = choose("mine", arguments.mine, node.choice("mine", MiningMode), MiningMode.ON_DEMAND)
    threads = choose("threads", None, node.integer("threads", 1, _MAX_THREADS), 1)
    discovery = choose("discovery", arguments.discovery, node.boolean("discovery"), default=True)
    max_peers = choose("max_peers", None, node.integer("max_peers", 1, _MAX_PEERS), 32)
    log_format = choose(
        "log_format", arguments.log_format, node.choice("log_format", LogFormat), LogFormat.TEXT
    )
    log_level = choose("log_level", arguments.log_level, node.choice("log_level", LogLevel), LogLevel.INFO)
    from_flag = _under(folder, arguments.log_file, "--log-file")
    log_file = choose("log_file", from_flag, _path(node, "log_file", beside), None)
    web = _web(node, arguments, choose, port)
    audit = choose("audit", None, _word(node, "audit", _INTERVAL, "a number with s, m, h or d, or off"), "1d")
    healing = choose("heal", None, node.choice("heal", Healing), Healing.OFF)
    parameters, network_settings = _network(table)
    peers = _peers(table, arguments.peers)
    return Config(
        port=port,
        host=host,
        data_dir=data_dir,
        wallet=wallet,
        mine=mine,
        threads=threads,
        discovery=discovery,
        max_peers=max_peers,
        log_format=log_format,
        log_level=log_level,
        log_file=log_file,
        web=web,
        audit_s=_seconds(audit),
        heal=healing,
        parameters=parameters,
        peers=peers,
        settings=(*choose.settings.values(), *network_settings, *map(_setting_of, peers)),
    )


def _seconds(interval: str) -> int:
    """Return the seconds of an interval, as 90m, 6h or 1d; 0 for off."""
    return 0 if interval == "off" else int(interval[:-1]) * _UNITS_S[interval[-1]]


class _Chooser:
    """Takes the flag, else the file's value, else the default, and notes which it was."""

    def __init__(self, node: Table) -> None:
        self._node = node
        self.settings: dict[str, Setting] = {}

    def __call__(self, name: str, flag: T | None, from_file: T | None, default: T) -> T:
        if flag is not None:
            return self.again(name, flag, "--" + _FLAGS.get(name, name.replace("_", "-")))
        if from_file is not None:
            return self.again(name, from_file, self._node.origin(name))
        return self.again(name, default)

    def again(self, name: str, value: T, origin: str = "default") -> T:
        """Note a value, in the place of an earlier one of that name."""
        shown = value if value is None or isinstance(value, int) else str(value)
        self.settings[name] = Setting(name, shown, origin)
        return value


def _web(node: Table, arguments: Arguments, choose: _Chooser, port: int) -> Web:
    """Return the settings of the page of a node that listens on `port`."""
    on = choose("web", arguments.web, node.boolean("web"), default=True)
    host = choose("web_host", arguments.web_host, node.read("web_host", parse_host), "127.0.0.1")
    by_default = port + WEB_PORTS_ON if port + WEB_PORTS_ON <= MAX_PORT else port - WEB_PORTS_ON
    own = choose("web_port", arguments.web_port, node.integer("web_port", LEAST_PORT, MAX_PORT), by_default)
    origin = choose.settings["web_port"].origin
    if own == port and on:
        raise ConfigError(f"{origin}: port {port} is the node's own", "give the page another --web-port")
    names = node.read_each("web_names", parse_host) or ()
    shown = f"[{', '.join(map(repr, names))}]"
    choose.again("web_names", shown, node.origin("web_names") if names else "default")
    return Web(on, host, own, names, is_chosen=origin != "default")


def _settings_file(named: Path | None, folder: Path) -> Table:
    """Return the file's top table: the one that is named, which must be there, or the folder's own."""
    path = folder / FILE_NAME if named is None else folder / named
    # Shown as it was typed; a file of the working folder by its bare name.
    shown = FILE_NAME if named is None else str(named)
    try:
        return read_file(path, shown)
    except FileNotFoundError:
        if named is None:
            return no_file()
        hint = "name a file that is there, or leave --config out"
        raise ConfigError(f"there is no file {shown}", hint) from None


def _under(folder: Path, path: Path | None, place: str) -> Path | None:
    if path is None:
        return None
    try:
        return folder / expanded(path)
    except PathError as error:
        raise ConfigError(f"{place}: {error.message}", error.hint) from None


def _path(node: Table, key: str, beside: Path) -> Path | None:
    text = node.text(key)
    if text is not None and (not text or "\0" in text):
        raise node.mistake(key, f"{key} is no path", "write a folder or file in quotes, or leave it out")
    return _under(beside, None if text is None else Path(text), f"{node.origin(key)}: {key}")


def _word(table: Table, key: str, allowed: re.Pattern[str], description: str) -> str | None:
    text = table.text(key)
    if text is not None and not allowed.fullmatch(text):
        raise table.mistake(key, f"{key} = {text[:40]!a} cannot be used", f"use 1 to 32 of {description}")
    return text


def _network(table: Table) -> tuple[Parameters, list[Setting]]:
    """Return the parameters and their settings: those of the file when it has a network, or the built-in."""
    if "network" not in table.values:
        return BUILT_IN, [Setting("network", BUILT_IN.name, "default (built in, for trying out)")]
    network = table.table("network")
    parameters = network_file.parse_network(network)
    written = network_file.written(parameters)
    return parameters, [
        Setting(f"network.{key}", value, network.origin(key)) for key, value in written.items()
    ]


def _peers(table: Table, added: tuple[Endpoint, ...]) -> tuple[Peer, ...]:
    """Return the file's peers, then those of the flags that are new; names and addresses differ."""
    peers: dict[Endpoint, Peer] = {}
    names: set[str] = set()
    for entry in table.tables("peers"):
        entry.refuse_unknown(_PEER_KEYS)
        endpoint = entry.read("address", parse_endpoint)
        if endpoint is None:
            raise entry.mistake(None, "a peer needs an address", 'write address = "127.0.0.1:9000"')
        name = _word(entry, "name", _PEER_NAME, "a-z, A-Z, 0-9, _, . and -") or str(endpoint)
        if endpoint in peers:
            first = peers[endpoint].origin
            raise entry.mistake(
                "address", f"{endpoint} is listed twice, first at {first}", "delete one of them"
            )
        if name in names:
            raise entry.mistake("name", f'another peer is named "{name}" already', "give each its own name")
        names.add(name)
        peers[endpoint] = Peer(name, endpoint, entry.key32("identity"), entry.origin())
    for endpoint in added:
        peers.setdefault(endpoint, Peer(str(endpoint), endpoint, None, "--peer"))
    return tuple(peers.values())


def _setting_of(peer: Peer) -> Setting:
    identity = f", identity {peer.identity.hex()}" if peer.identity else ""
    return Setting(f"peers.{peer.name}", f"{peer.endpoint}{identity}", peer.origin)
