"""What a node says of itself when it starts: what it is, where its things lie, whom it talks to.

Opens nothing. For programs, the first notice has it all in its fields.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.config import DEFAULT_PORT, Config
from node.endpoint import Endpoint, is_loopback
from node.events import Level, Notice
from node.ledger.address import encode_address
from node.pow import kernel_name

KIND: Final = "start"


@dataclass(frozen=True, slots=True)
class Opened:
    """What only a started node knows."""

    version: str
    network_id: bytes
    port: int
    """That it listens on."""
    socket: Path
    height: int
    wallet_key: bytes
    """Public key that mining pays to."""
    backed_up: bool
    page: str | None
    """Address of its page; None where it shows none."""


def summary(config: Config, opened: Opened) -> list[Notice]:
    """Return the notices of the start, in the order to be told."""
    own = Endpoint(config.host, opened.port)
    address = encode_address(config.parameters.prefix, opened.wallet_key)
    fields: dict[str, object] = {
        "version": opened.version,
        "network": config.parameters.name,
        "network_id": opened.network_id.hex(),
        "for_trying_out": config.for_trying_out,
        "listens": str(own),
        "this_machine_only": config.this_machine_only,
        "folder": str(config.data_dir),
        "socket": str(opened.socket),
        "peers": [str(peer.endpoint) for peer in config.peers if not _is_self(peer.endpoint, own)],
        "height": opened.height,
        "mode": config.mine.value,
        "kernel": kernel_name(),
        "wallet": config.wallet,
        "address": address,
        "backed_up": opened.backed_up,
        "page": opened.page,
    }
    command = cli_command(config)
    lines = [
        _network(config, opened),
        f"listens on {own}{', this machine only' if config.this_machine_only else ''}",
        f"folder {config.data_dir}",
        f"socket {opened.socket}",
        _peers(config, own),
        f"book at height {opened.height}",
        f"mining ({kernel_name()}) is {config.mine.value} and pays the wallet {config.wallet}: {address}",
        *_page(config, opened),
    ]
    notices = [Notice(KIND, lines[0], fields=fields), *(Notice(KIND, line) for line in lines[1:])]
    if not opened.backed_up:
        backup = f"{command} wallet backup {config.wallet} PLACE"
        text = f"the wallet {config.wallet} has no backup: lost is lost. Make one: {backup}"
        notices.append(Notice("backup-missing", text, Level.WARNING, {"wallet": config.wallet}))
    notices.append(Notice(KIND, f"in another terminal: {command} status"))
    return notices


def cli_command(config: Config) -> str:
    """Return how commands find this node, as it is typed."""
    by_default = any(
        setting.name == "data_dir" and setting.origin == "default" for setting in config.settings
    )
    if not by_default:
        return f"python cli.py --data-dir {shlex.quote(str(config.data_dir))}"
    return "python cli.py" if config.port == DEFAULT_PORT else f"python cli.py --port {config.port}"


def _network(config: Config, opened: Opened) -> str:
    text = (
        f"Indelible {opened.version} on the network {config.parameters.name} ({opened.network_id.hex()[:8]}…)"
    )
    return f"{text}, for trying out: its coins are worth nothing" if config.for_trying_out else text


def _page(config: Config, opened: Opened) -> list[str]:
    if opened.page is None:
        return []
    open_to_all = "" if is_loopback(config.web.host) else ", which other machines can read"
    return [f"page {opened.page}{open_to_all}"]


def _peers(config: Config, own: Endpoint) -> str:
    others = [peer for peer in config.peers if not _is_self(peer.endpoint, own)]
    if not others:
        return "no peers are configured: name some in peers.toml or with --peer HOST:PORT"
    shown = [str(p.endpoint) if p.name == str(p.endpoint) else f"{p.name} {p.endpoint}" for p in others]
    return f"peers: {', '.join(shown)}"


def _is_self(endpoint: Endpoint, own: Endpoint) -> bool:
    """Tell whether a configured peer is this node, as far as its address shows."""
    same_host = endpoint.host == own.host or (is_loopback(endpoint.host) and not _is_elsewhere(own.host))
    return endpoint.port == own.port and same_host


def _is_elsewhere(host: str) -> bool:
    """Tell whether a node that listens here is not reached over loopback."""
    return not is_loopback(host) and host not in {"0.0.0.0", "::"}  # noqa: S104 - compared, not opened
