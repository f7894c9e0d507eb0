"""Where things are: the program's own source as syntax trees, for tests that read it; and Chromium."""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CORE = (
    *("ledger", "storage.port", "events", "outbox", "checks", "messages", "frames", "protocol", "sessions"),
    *("endpoint", "sealed", "recent", "tree", "headers", "bodies", "recount", "connecting", "proving"),
    *("noted", "outcomes", "chain", "mempool", "peers", "links"),
    *("compact", "sync", "fetching", "relay", "gossip", "intake", "mining", "aftermath", "core"),
)
"""The law, and the node as one state machine: parts of `node` that must be pure, by name."""

_CLAIM = re.compile(r"\bPure\b[.:;,]")


@dataclass(frozen=True, slots=True)
class Source:
    """One module: its dotted name, whether it is a package's `__init__`, and its syntax tree."""

    name: str
    is_package: bool
    tree: ast.Module

    @property
    def core(self) -> bool:
        """Whether this module belongs to the core."""
        return self.within(*CORE)

    @property
    def pure(self) -> bool:
        """Whether this module must be pure: as part of the core, or because its docstring says that it is."""
        return self.core or _CLAIM.search(ast.get_docstring(self.tree) or "") is not None

    def within(self, *parts: str) -> bool:
        """Tell whether this module is one of the named parts of `node`, or inside one."""
        return any(self.name == f"node.{part}" or self.name.startswith(f"node.{part}.") for part in parts)


def read(name: str, text: str, *, is_package: bool = False) -> Source:
    """Parse one module's text."""
    return Source(name, is_package, ast.parse(text))


def program() -> list[Source]:
    """Every module of the program, `node` and `cli`, by name."""
    found = [read("cli", (ROOT / "cli.py").read_text(encoding="utf-8"))] if (ROOT / "cli.py").exists() else []
    for path in sorted((ROOT / "node").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found.append(read(name, path.read_text(encoding="utf-8"), is_package=is_package))
    return sorted(found, key=lambda source: source.name)


def imports(source: Source, modules: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield (line, target) for each import in a module; `from a import b` is `a.b` where that is a module."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(source, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield node.lineno, inner if inner in modules else base


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    climb = node.level - 1 if source.is_package else node.level
    package = source.name.split(".")
    base = package[: len(package) - climb]
    return ".".join([*base, node.module] if node.module else base)


def chromium() -> str | None:
    """Return where the browser of the tests is: CHROMIUM if set, else what is installed; None without one."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
