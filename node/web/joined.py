"""ES modules joined into one script, for a page that is one file and works from a disk. Reads script files.

Browsers load no module from a file on the disk, so a page to be saved carries its modules inside. Each
becomes a function that is called once and returns what it exports; those it imports come before it. Only what
this project's scripts and its libraries are written in is understood, and anything else is refused by name:
named imports, `import * as`, exports of functions, classes and constants, and lists of names, each at the
start of a line. Comments that fill whole lines are left out, but for licences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_IMPORT: Final = re.compile(
    r"^import\s+(?:\{(?P<names>[^}]*)\}|\*\s+as\s+(?P<whole>\w+))\s+"
    r"from\s+[\"'](?P<path>\.[^\"']*)[\"'];[ ]*\n",
    re.MULTILINE,
)
_EXPORT_LIST: Final = re.compile(r"^export\s+\{(?P<names>[^}]*)\};[ ]*\n", re.MULTILINE)
_EXPORT: Final = re.compile(
    r"^export\s+(?P<kind>(?:async\s+)?function|class|const)\s+(?P<name>\w+)", re.MULTILINE
)
_OTHER: Final = re.compile(r"^\s*(?:import|export)\b.*$|\bimport\s*\(|\bimport\.meta\b", re.MULTILINE)
_NAME: Final = re.compile(r"(\w+)(?:\s+as\s+(\w+))?")


class NotJoinable(ValueError):
    """A module says something that is not understood here, or modules import each other in a ring."""


def joined(entry: Path) -> str:
    """Return one script that does what the module does; no module of it can be reached from outside.

    Raises NotJoinable; OSError where a module is missing.
    """
    order: dict[Path, str] = {}
    _add(entry.resolve(), order, ())
    return '"use strict";\n' + "".join(order.values())


def _add(path: Path, order: dict[Path, str], above: tuple[Path, ...]) -> None:
    """Add the modules that this one imports, then itself, each once."""
    if path in order:
        return
    if path in above:
        raise NotJoinable(f"{path.name} imports itself, through others")
    text = _without_comments(path.read_text(encoding="utf-8"))
    for found in _IMPORT.finditer(text):
        _add((path.parent / found["path"]).resolve(), order, (*above, path))
    numbers = {module: number for number, module in enumerate(order)}
    order[path] = _as_function(path, text, numbers)


def _as_function(path: Path, text: str, numbers: dict[Path, int]) -> str:
    """Return the module as a constant: what its body, called once, returns."""
    exports: list[str] = []

    def imported(found: re.Match[str]) -> str:
        module = f"module{numbers[(path.parent / found['path']).resolve()]}"
        if found["whole"]:
            return f"const {found['whole']} = {module};\n"
        names = ", ".join(f"{name}: {own}" for name, own in _names(found["names"]))
        return f"const {{ {names} }} = {module};\n"

    def listed(found: re.Match[str]) -> str:
        exports.extend(f"{other}: {name}" for name, other in _names(found["names"]))
        return ""

    def exported(found: re.Match[str]) -> str:
        exports.append(found["name"])
        return f"{found['kind']} {found['name']}"

    body = _EXPORT.sub(exported, _EXPORT_LIST.sub(listed, _IMPORT.sub(imported, text)))
    other = _OTHER.search(body)
    if other is not None:
        raise NotJoinable(f"{path.name}: {other[0].strip()}")
    if "</script" in body.lower() or "<!--" in body:
        raise NotJoinable(f"{path.name}: what would end the script around it")
    returned = f"return {{ {', '.join(exports)} }};\n" if exports else ""
    return f"// {path.name}\nconst module{len(numbers)} = (() => {{\n{body}{returned}}})();\n"


def _names(text: str) -> Iterable[tuple[str, str]]:
    """Yield (name, name under which it goes on) of a list such as `a, b as c`."""
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _NAME.fullmatch(part)
        if found is None:
            raise NotJoinable(part)
        yield found[1], found[2] or found[1]


def _without_comments(text: str) -> str:
    """Return the text without lines that are comments, but for those that begin with `/*!`."""
    kept, inside = [], False
    for line in text.splitlines(keepends=True):
        start = line.lstrip()
        if inside or _is_comment(start):
            inside = "*/" not in line
        elif not start.startswith("//"):
            kept.append(line)
    return "".join(kept)


def _is_comment(line: str) -> bool:
    """Tell whether a line begins with a comment, no licence, behind which there is no code."""
    _, _, behind = line.partition("*/")
    return line.startswith("/*") and not line.startswith("/*!") and not behind.strip()
