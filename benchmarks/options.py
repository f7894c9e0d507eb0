"""What all benchmarks take on the command line: how large, how many, how often. Pure."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

from benchmarks import books

RUNS: Final = 5
_LEAST: Final = {"accounts": books.FOUNDERS, "nodes": 2}
"""Of counts that are more than 1 at least."""
_HELP: Final = {
    "asked": "of each kind, a run",
    "blocks": "undone; one more comes",
    "rate": "requests a second",
}


def parser_of(name: str, description: str, **counts: int) -> argparse.ArgumentParser:
    """Return the parser of `python -m benchmarks.NAME`: an option for each count, and --runs."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    for option, default in {**counts, "runs": RUNS}.items():
        told = f"{_HELP.get(option, '')} (default {default})".strip()
        flag = f"--{option.replace('_', '-')}"
        parser.add_argument(flag, type=_at_least(_LEAST.get(option, 1)), default=default, help=told)
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"it is a whole number of {least} or more, not {text!r}")
        return value

    return count
