"""The architecture is a test: who may import whom, in layer order, and where effects may happen.

A new module needs its name in `LAYERS`: in the first row after all that it imports. A module that needs an
effect or a package from outside needs a word in `ROOMS`. Reads the source, runs none of it.
"""

from __future__ import annotations

import ast
import re
import sys

import pytest

from tests.sources import Source, imports, program, read

LAYERS: tuple[tuple[str, ...], ...] = (
    # Package markers: a version and a docstring.
    ("node", "node.ledger", "node.storage"),
    # The law, each row built on those before it.
    ("node.ledger.errors", "node.ledger.codec"),
    ("node.ledger.merkle", "node.ledger.difficulty", "node.ledger.address", "node.ledger.amount"),
    ("node.ledger.batch",),
    ("node.ledger.signature", "node.ledger.history", "node.ledger.entry", "node.ledger.params"),
    ("node.ledger.block",),
    ("node.ledger.state",),
    ("node.ledger.rules",),
    # The vocabulary between the core and its drivers.
    ("node.storage.port",),
    ("node.events",),
    ("node.noted", "node.outbox"),
    ("node.outcomes",),
    # What peers say: as records, as bytes, when it may be said, and to whom.
    ("node.messages",),
    ("node.frames", "node.compact"),
    ("node.protocol",),
    ("node.sessions",),
    # The parts of the core.
    ("node.endpoint", "node.sealed", "node.peers.among"),
    ("node.tree", "node.checks", "node.recent", "node.mempool.refused", "node.mempool.template"),
    ("node.headers", "node.bodies", "node.recount", "node.mempool.pool", "node.mempool.checking"),
    ("node.connecting",),
    ("node.proving",),
    ("node.chain", "node.mempool.saved", "node.peers.addresses", "node.peers.blame", "node.peers.names"),
    ("node.mempool", "node.peers.book"),
    ("node.peers",),
    ("node.links", "node.sync", "node.mining", "node.fetching"),
    ("node.relay",),
    ("node.gossip",),
    ("node.intake",),
    ("node.aftermath",),
    ("node.core",),
    # Search for proof of work, in processes of its own.
    ("node.pow", "node.miner_policy"),
    ("node.miner_worker",),
    ("node.miner",),
    # Files that are for their owner alone.
    ("node.private",),
    ("node.keyfile", "node.paths", "node.identity", "node.remembered", "node.heal_report"),
    ("node.wallet",),
    # The stored book, written and read.
    ("node.storage.cache", "node.storage.faults", "node.storage.rows", "node.storage.genesis"),
    ("node.storage.page_index",),
    ("node.storage.network",),
    ("node.storage.journal",),
    ("node.storage.overlay", "node.storage.schema", "node.storage.bulk", "node.storage.files"),
    ("node.storage.reading", "node.storage.joining", "node.storage.scratch"),
    ("node.storage.writing",),
    ("node.storage.memory", "node.storage.sqlite", "node.storage.inspecting", "node.storage.salvage"),
    ("node.storage.comparing",),
    # Files that prove themselves, without any book.
    ("node.proof_file",),
    ("node.proofs",),
    # The stored book, checked from genesis.
    ("node.audit_findings", "node.locating"),
    ("node.differences",),
    ("node.audit_tables",),
    ("node.audit", "node.storage.rebuild", "node.surviving", "node.evidence"),
    ("node.heal",),
    ("node.answers", "node.settled", "node.payment_uri"),
    ("node.weighing", "node.takings", "node.corrections", "node.asked"),
    ("node.proven_parts",),
    ("node.query", "node.requests", "node.days"),
    ("node.corrected",),
    ("node.postings",),
    ("node.export", "node.statement"),
    ("node.receipts",),
    # What the person wants: a file, and words behind it.
    ("node.settings",),
    ("node.network_file", "node.contacts"),
    ("node.config", "node.audit_files"),
    ("node.arguments",),
    # The drivers, and what puts them together.
    ("node.jsonrpc", "node.listeners", "node.disk", "node.report", "node.bell"),
    ("node.clock", "node.log_lines", "node.log_file", "node.log_names", "node.summary"),
    ("node.log", "node.asking", "node.audit_worker"),
    ("node.auditing", "node.mending"),
    ("node.methods", "node.transport"),
    ("node.socket_session", "node.page"),
    ("node.control",),
    ("node.daemon",),
    ("node.startup",),
    ("node.__main__",),
    # The page, in a process of its own: a client of the book and of the local socket.
    ("node.web",),
    ("node.web.viewers", "node.web.local_socket", "node.web.books", "node.web.showing"),
    ("node.web.answers", "node.web.buckets", "node.web.kept", "node.web.schemas", "node.web.shown"),
    ("node.web.packing", "node.web.joined"),
    ("node.qr", "node.printed"),
    ("node.web.hub", "node.web.security", "node.web.limits"),
    ("node.web.index", "node.web.faults", "node.web.glimpse", "node.web.recent", "node.web.naming"),
    ("node.web.context", "node.web.pictures", "node.web.series"),
    ("node.web.rendering", "node.web.live", "node.web.qr", "node.web.operations", "node.web.shared"),
    ("node.web.errors", "node.web.statement", "node.web.till"),
    ("node.web.openapi", "node.web.params"),
    ("node.web.api_accounts", "node.web.api_blocks", "node.web.api_entries", "node.web.api_node"),
    ("node.web.api",),
    ("node.web.check",),
    ("node.web.pages_book", "node.web.pages_node", "node.web.pages_search"),
    ("node.web.pages", "node.web.pay", "node.web.counter"),
    ("node.web.warming",),
    ("node.web.app",),
    ("node.web.__main__",),
    # What people type.
    ("node.cli.text",),
    ("node.cli.errors", "node.cli.show"),
    ("node.cli.new_file",),
    ("node.cli.client", "node.cli.signing"),
    ("node.cli.invocation",),
    ("node.cli.options", "node.cli.offline"),
    ("node.cli.named",),
    ("node.cli.look", "node.cli.completion", "node.cli.contacts"),
    ("node.cli.orders",),
    ("node.cli.books", "node.cli.healing", "node.cli.mine", "node.cli.networks", "node.cli.pay"),
    ("node.cli.peers",),
    ("node.cli.receipts",),
    ("node.cli.qr", "node.cli.export"),
    ("node.cli.statements",),
    ("node.cli.counter", "node.cli.status", "node.cli.wallets"),
    ("node.cli.requests", "node.cli.invite", "node.cli.top_view"),
    ("node.cli.top",),
    ("node.cli.main",),
    ("node.cli",),
    ("cli",),
)
"""Lowest first. A module imports from rows before its own only: not from its own, nor from later ones."""

PURE_IMPORTS = frozenset(
    (
        *("__future__", "abc", "bisect", "collections", "contextlib", "dataclasses", "datetime", "enum"),
        *(
            "functools",
            "hashlib",
            "heapq",
            "ipaddress",
            "itertools",
            "json",
            "math",
            "operator",
            "re",
            "struct",
            "types",
            "typing",
        ),
    )
)
"""All that pure modules may import besides each other: no clock, no disk, no socket, no dice."""

ROOMS: dict[str, tuple[str, ...]] = {
    "asyncio": (
        "auditing",
        "bell",
        "miner",
        "transport",
        "listeners",
        "socket_session",
        "control",
        "daemon",
        "startup",
        "page",
        "web",
    ),
    "click": ("cli",),
    "jinja2": ("web.rendering", "printed"),
    "logging": ("auditing", "miner", "transport", "control", "log", "log_file", "page", "web.__main__"),
    "msgpack": ("ledger.codec",),
    "nacl": ("ledger.signature", "ledger.batch", "keyfile"),
    "pkgutil": ("ledger.signature",),  # reads the crafted cases, which are package data
    "platformdirs": ("paths",),
    "pyarrow": ("export",),
    "random": ("daemon",),
    "rich": ("cli",),
    "segno": ("qr",),
    "secrets": (
        "asking",
        "private",
        "identity",
        "daemon",
        "cli.requests",
        "web.hub",
        "web.shared",
        "web.counter",
        "storage.page_index",
    ),
    "socket": ("asking", "control", "transport", "listeners", "cli", "web.__main__"),
    "sqlite3": ("storage",),
    "sse_starlette": ("web.live",),
    "starlette": ("web",),
    "time": (
        "asking",
        "auditing",
        "audit_worker",
        "miner",
        "miner_worker",
        "clock",
        "daemon",
        "disk",
        "page",
        "cli",
        "web.hub",
        "web.limits",
        "web.counter",
    ),
    "uvicorn": ("web.__main__",),
}
"""Effects and outside packages, and the only parts of `node` that may import each. A row wins over
`PURE_IMPORTS`; what of the standard library has no row may go anywhere but into pure modules."""

COMMANDS_MAY_USE = (
    *("cli", "ledger", "storage", "query", "audit", "audit_findings", "audit_files", "heal", "mending"),
    "heal_report",
    *("wallet", "private", "paths"),
    *(
        "remembered",
        "endpoint",
        "settings",
        "network_file",
        "contacts",
        "takings",
        "days",
        "corrections",
        "answers",
        "postings",
        "export",
        "statement",
        "printed",
        "asked",
        "requests",
        "payment_uri",
        "qr",
        "config",
        "pow",
        "miner",
    ),
    *("answers", "proof_file", "proofs", "receipts"),
)
"""What a command may reach into: it asks a running node over the socket, and has no part in the daemon."""

CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
"""What of `datetime` is a clock; the rest of it only writes times."""

SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER|PRAGMA|ATTACH|VACUUM|BEGIN)\s", re.ASCII
)

PROGRAM = program()
MODULES = frozenset(source.name for source in PROGRAM)
LEVEL = {name: level for level, row in enumerate(LAYERS) for name in row}


def upward(source: Source) -> list[str]:
    """Imports of a module that do not go down the table."""
    if source.name not in LEVEL:
        return [f"{source.name} has no row in LAYERS"]
    return [
        f"{source.name}:{line} imports {target}, which is not in a layer before its own"
        for line, target in imports(source, MODULES)
        if target in LEVEL and LEVEL[target] >= LEVEL[source.name]
    ]


def misplaced(source: Source) -> list[str]:
    """Imports of a module that bring in an effect or a package which has no place there."""
    wrong = []
    for line, target in imports(source, MODULES):
        top = target.partition(".")[0]
        if top in {"node", "cli"}:
            continue
        room = next(
            (room for name, room in ROOMS.items() if target == name or target.startswith(f"{name}.")), None
        )
        known = top in sys.stdlib_module_names or top in ROOMS
        allowed = source.within(*room) if room is not None else top in PURE_IMPORTS or not source.pure
        if not (known and allowed):
            wrong.append(f"{source.name}:{line} imports {target}, which has no place there")
    return wrong


def test_every_module_has_one_row_and_every_row_a_module() -> None:
    rows = [name for row in LAYERS for name in row]
    assert sorted(rows) == sorted(MODULES)


@pytest.mark.parametrize("source", PROGRAM, ids=lambda source: source.name)
def test_a_module_imports_only_from_the_layers_before_its_own(source: Source) -> None:
    assert upward(source) == []


@pytest.mark.parametrize("source", PROGRAM, ids=lambda source: source.name)
def test_effects_and_outside_packages_stay_in_their_rooms(source: Source) -> None:
    assert misplaced(source) == []


@pytest.mark.parametrize("source", [s for s in PROGRAM if s.pure], ids=lambda source: source.name)
def test_a_pure_module_builds_on_pure_modules_only(source: Source) -> None:
    impure = {other.name for other in PROGRAM if not other.pure} - {"node", "node.storage"}
    assert sorted(impure.intersection(target for _, target in imports(source, MODULES))) == []


@pytest.mark.parametrize("source", [s for s in PROGRAM if s.pure], ids=lambda source: source.name)
def test_a_pure_module_asks_no_calendar_what_day_it_is(source: Source) -> None:
    asked = [
        f"{source.name}:{node.lineno}"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr) in CLOCKS
    ]
    assert asked == []


def test_every_room_is_used() -> None:
    used = {target for source in PROGRAM for _, target in imports(source, MODULES)}
    assert [name for name in ROOMS if not any(u == name or u.startswith(f"{name}.") for u in used)] == []


def test_commands_do_not_reach_into_the_daemon() -> None:
    reached = [
        f"{source.name}:{line} imports {target}"
        for source in PROGRAM
        if source.within("cli")
        for line, target in imports(source, MODULES)
        if target.startswith("node.") and not read(target, "").within(*COMMANDS_MAY_USE)
    ]
    assert reached == []


@pytest.mark.parametrize(
    "source", [s for s in PROGRAM if not s.within("storage")], ids=lambda source: source.name
)
def test_sql_is_written_in_storage_alone(source: Source) -> None:
    found = [
        f"{source.name}:{node.lineno} holds SQL"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    ]
    assert found == []


@pytest.mark.parametrize("source", PROGRAM, ids=lambda source: source.name)
def test_no_import_escapes_these_tests_by_a_name_made_at_run_time(source: Source) -> None:
    dynamic = [
        f"{source.name}:{node.lineno}"
        for node in ast.walk(source.tree)
        if (isinstance(node, ast.Name) and node.id in {"__import__", "eval", "exec"})
        or (isinstance(node, ast.Attribute) and node.attr == "import_module")
    ]
    assert dynamic == []


@pytest.mark.parametrize(
    "text", ["import sqlite3", "def f():\n    from time import monotonic", "from os import path"]
)
def test_the_check_sees_an_effect_in_the_law(text: str) -> None:
    assert misplaced(read("node.ledger.rules", text)) != []


@pytest.mark.parametrize(
    "text",
    [
        "from node.ledger import state",
        "from .state import apply",
        "from . import rules",
        "import node.ledger.rules",
    ],
)
def test_the_check_sees_an_import_that_goes_up(text: str) -> None:
    assert upward(read("node.ledger.block", text)) != []
