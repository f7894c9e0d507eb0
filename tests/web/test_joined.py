"""Modules joined into one script: what is understood keeps its meaning, and nothing else is let through."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.web.check import check_page
from node.web.joined import NotJoinable, joined
from tests.sources import ROOT

SCRIPTS = ROOT / "node" / "web" / "static" / "js"


def written(folder: Path, **modules: str) -> Path:
    """Write modules by name; return the path of `entry`."""
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    return folder / "entry.js"


def test_a_module_comes_behind_those_it_imports_and_once(tmp_path: Path) -> None:
    entry = written(
        tmp_path,
        entry='import { one, two as other } from "./a.js";\nimport * as b from "./b.js";\none(other, b);\n',
        a='import { three } from "./b.js";\nexport function one() {}\nexport const two = three;\n',
        b="const three = 3;\nexport { three, three as drei };\n",
    )
    assert joined(entry) == (
        '"use strict";\n'
        "// b.js\nconst module0 = (() => {\nconst three = 3;\nreturn { three: three, drei: three };\n})();\n"
        "// a.js\nconst module1 = (() => {\nconst { three: three } = module0;\nfunction one() {}\n"
        "const two = three;\nreturn { one, two };\n})();\n"
        "// entry.js\nconst module2 = (() => {\nconst { one: one, two: other } = module1;\n"
        "const b = module0;\none(other, b);\n})();\n"
    )


def test_comments_are_left_out_but_licences_stay(tmp_path: Path) -> None:
    text = '/*! MIT */\n/**\n * import x from "y";\n */\n// import\n/* a */ const c = 1; // d\n  /* e */\n'
    body = joined(written(tmp_path, entry=text)).split("\n", 3)[3]
    assert body == "/*! MIT */\n/* a */ const c = 1; // d\n})();\n"


@pytest.mark.parametrize(
    "text",
    [
        'import x from "./a.js";\n',
        'import "./a.js";\n',
        'import { x } from "elsewhere";\n',
        'import { x y } from "./a.js";\n',
        "export default 1;\n",
        "export let x = 1;\n",
        'export * from "./a.js";\n',
        'const a = await import("./a.js");\n',
        "const a = import.meta.url;\n",
        'const a = "</script>";\n',
        'const a = "<!--";\n',
        'import { x } from "./entry.js";\n',
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(NotJoinable):
        joined(written(tmp_path, a="export const x = 1;\n", entry=text))


def test_the_page_that_checks_receipts_is_joined_and_reaches_for_nothing() -> None:
    script = joined(SCRIPTS / "check.js")
    assert "MIT License" in script
    for reach in (
        "fetch(",
        "XMLHttpRequest",
        "EventSource",
        "WebSocket",
        "sendBeacon",
        "localStorage",
        "import(",
    ):
        assert reach not in script
    page = check_page()
    text = page.body.decode()
    assert script in text
    assert text.count("<script") == 1
    assert "src=" not in text
    assert "url(" not in text
    assert page.policy.startswith("default-src 'none'; script-src 'sha256-")
