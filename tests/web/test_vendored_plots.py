"""The plotting library that the page ships is the published one."""

from __future__ import annotations

import hashlib
import re

from tests.sources import ROOT

FOLDER = ROOT / "node" / "web" / "static" / "vendor" / "uplot"
DECISION = ROOT / "docs" / "decisions" / "0029-uplot.md"


def test_each_file_is_the_one_that_the_decision_names() -> None:
    text = DECISION.read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `uplot/([^`]+)` \| `([0-9a-f]{64})` \|$", text, re.MULTILINE))
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.iterdir()}
    assert found == listed


def test_it_fetches_nothing() -> None:
    code = (FOLDER / "uPlot.iife.min.js").read_text(encoding="utf-8")
    assert re.findall(r"\b(?:eval|Function|fetch|XMLHttpRequest|WebSocket|importScripts)\b", code) == []
    assert "url(" not in (FOLDER / "uPlot.min.css").read_text(encoding="utf-8")
