"""`python -m node` as a process: what it says when it is interrupted before it runs."""

from __future__ import annotations

import subprocess
import sys

from tests.sources import ROOT

PROGRAM = """
import sys
from node import startup
from node.__main__ import main

def interrupted(_):
    raise KeyboardInterrupt

startup.run = interrupted
sys.exit(main([]))
"""


def test_ctrl_c_while_the_book_is_opened_or_mended_ends_it_without_a_word() -> None:
    ended = subprocess.run((sys.executable, "-c", PROGRAM), cwd=ROOT, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")
