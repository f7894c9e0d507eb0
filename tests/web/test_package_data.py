"""What the page is made of comes along when the program is installed."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WEB = ROOT / "node" / "web"


def test_every_template_and_every_file_of_the_page_is_package_data() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["setuptools"]["package-data"]["node.web"]
    shipped = {path for pattern in patterns for path in WEB.glob(pattern) if path.is_file()}
    words = ["git", "ls-files", "-z", "--", str(WEB)]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    kept = {ROOT / name for name in listed.split("\0") if name}
    assert {path for path in kept if path.suffix != ".py"} - shipped == set()
    assert WEB / "templates" / "base.html" in shipped
