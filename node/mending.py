"""Mending a data folder while no node runs in it: the book, by way of peers, and what can be of the files.

Touches the disk and opens sockets. Whoever calls holds the folder's lock. What people read of it, and the
local socket, is the last report, kept in the folder (`heal_report`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from node import __version__, evidence
from node.asking import PeerSource
from node.audit_files import JOURNAL_NAME, PEERS_NAME, PENDING_NAME, BadFile, bad_files
from node.clock import read_clock
from node.config import Config
from node.endpoint import Endpoint, is_loopback
from node.heal import Healed, Progress, Source, heal
from node.heal_report import REPORT_NAME
from node.ledger.params import Parameters
from node.peers.book import VERSION as PEERS_VERSION
from node.private import PathError, read_bounded, replace_private_file
from node.remembered import FILE_NAME as MEMORY_NAME
from node.remembered import correct, network_of
from node.sealed import Unreadable, unseal
from node.storage.journal import Journal

MOST_KNOWN: Final = 32
"""Peers of the address book that are asked, besides the configured ones."""
_MAX_BYTES: Final = 1 << 26
_AGENT: Final = f"indelible/{__version__} heal"
_REPLACEABLE: Final = (PEERS_NAME, PENDING_NAME, JOURNAL_NAME, MEMORY_NAME)
_MENDED: Final = {MEMORY_NAME: "made anew", JOURNAL_NAME: "what is whole is kept"}

Json = dict[str, Any]


def mend(settings: Config, parameters: Parameters, progress: Progress) -> Json:
    """Mend the folder of these settings; return the report, which is kept there too.

    Raises BookFault where nothing can be done, PathError where the report cannot be written.
    """
    folder = settings.data_dir
    now = read_clock().wall_ms
    stamp = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    # The peers are read before their file is looked at: a damaged one is set aside.
    found = heal(folder, parameters, lambda: _sources(settings, parameters), stamp, progress)
    files = bad_files(folder, parameters, live=False)
    if files:
        _mend_files(folder, parameters, files, stamp, found)
    report = found.as_json() | {"time_ms": now, "files": [str(one.path) for one in files]}
    if found.evidence is not None:
        evidence.write_report(found.evidence, report)
    replace_private_file(folder / REPORT_NAME, json.dumps(report).encode())
    return report


def _mend_files(
    folder: Path, parameters: Parameters, files: list[BadFile], stamp: str, found: Healed
) -> None:
    """Set aside what a node makes anew; say of the rest that nobody has it."""
    found.findings = (*found.findings, *(one.finding() for one in files))
    found.evidence = found.evidence or evidence.new_folder(folder, stamp)
    for one in files:
        evidence.keep(found.evidence, one.path)
        name = one.path.name
        if name not in _REPLACEABLE or one.path.parent != folder:
            found.unhealed.append(
                f"{one.path} ({one.why}): nobody else has it; put back a copy, or move it away"
            )
            continue
        found.healed = True
        if name == JOURNAL_NAME:
            Journal(one.path).close()  # keeps what is whole
        elif name == MEMORY_NAME:
            correct(folder, network_of(parameters))
        else:
            one.path.unlink()
        told = {"name": "file", "said": one.why, "proof": _MENDED.get(name, "set aside")}
        found.changes.append({"table": name, "key": {}, "fields": [told]})


def _sources(settings: Config, parameters: Parameters) -> Iterator[Source]:
    """Yield the configured peers, then those that the node has heard of."""
    seen: set[Endpoint] = set()
    for peer in settings.peers:
        seen.add(peer.endpoint)
        if not (peer.endpoint.port == settings.port and is_loopback(peer.endpoint.host)):
            yield PeerSource(peer.endpoint, parameters, _AGENT, peer.name)
    local_only = settings.for_trying_out and settings.this_machine_only
    for endpoint in _known(settings.data_dir)[:MOST_KNOWN]:
        if endpoint not in seen and (not local_only or is_loopback(endpoint.host)):
            yield PeerSource(endpoint, parameters, _AGENT)


def _known(folder: Path) -> list[Endpoint]:
    """Return the addresses of the node's own book of peers; none where it cannot be read."""
    with suppress(FileNotFoundError, PathError, Unreadable, TypeError, ValueError, IndexError):
        saved = unseal(PEERS_VERSION, read_bounded(folder / PEERS_NAME, _MAX_BYTES))
        if isinstance(saved, tuple):
            _, met, addresses = saved  # met: those that it was told of by flags stand there alone
            return list(dict.fromkeys(Endpoint(str(row[0]), int(row[1])) for row in (*met, *addresses)))
    return []
