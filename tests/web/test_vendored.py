"""The libraries that the page ships are the published ones, and fetch nothing."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from tests.sources import ROOT

VENDOR = ROOT / "node" / "web" / "static" / "vendor"
DECISION = ROOT / "docs" / "decisions" / "0024-browser-libraries.md"


def listed() -> dict[str, str]:
    """Return the SHA-256 that the decision gives for each file."""
    text = DECISION.read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(noble-[^`]+)` \| `([0-9a-f]{64})` \|$", text, re.MULTILINE))


def shipped() -> list[Path]:
    """Return the files of the libraries for keys."""
    return sorted(path for path in VENDOR.glob("noble-*/*") if path.is_file())


def test_each_file_is_the_one_that_the_decision_names() -> None:
    found = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in shipped()
    }
    assert found == listed()


def test_a_library_comes_with_its_licence() -> None:
    for folder in {path.parent for path in shipped()}:
        assert "MIT" in (folder / "LICENSE").read_text(encoding="utf-8")


def test_libraries_import_only_files_that_are_shipped() -> None:
    for path in shipped():
        code = re.sub(
            r"/\*.*?\*/|^\s*//.*?$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
        )
        for target in re.findall(r"""(?:from|import)\s*\(?\s*["']([^"']+)["']""", code):
            assert target.startswith("./"), f"{path.name} imports {target}"
            assert path.parent / target in shipped()
        assert re.findall(r"\b(?:eval|Function|fetch|XMLHttpRequest|WebAssembly|importScripts)\b", code) == []
