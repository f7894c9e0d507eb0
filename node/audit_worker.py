"""A process of its own that reads the whole book again, at the lowest priority, and tells how far it is.

Told on standard input, in one line of JSON (`auditing.order`), which folder; says lines of JSON on standard
output; ends when its standard input does, so that it never outlives its node. Reads, and writes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from node.audit_files import bad_files
from node.heal import look
from node.ledger import codec
from node.ledger.params import Parameters
from node.storage.faults import BookFault
from node.storage.sqlite import BOOK_NAME

NICENESS: Final = 19
MOST_SHOWN: Final = 512
"""Characters of each text of a finding: whoever edits a copy must not fill the line that tells of it."""
_TOLD_EVERY_S: Final = 0.5


def main() -> int:
    """Read one book; return the exit status."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    asked = json.loads(sys.stdin.buffer.readline())
    _, *fields = codec.decode(bytes.fromhex(asked["parameters"]))
    threading.Thread(target=_end_with_input, daemon=True).start()
    folder, parameters = Path(asked["folder"]), Parameters(*fields)
    told = _Told()
    try:
        verdict = look(folder / BOOK_NAME, parameters, told.at)
    except BookFault as fault:
        sys.stderr.write(f"{fault.message}\n")
        return 1
    found = [*verdict.findings, *(bad.finding() for bad in bad_files(folder, parameters, live=True))]
    told_of = [_cut(one.as_json()) for one in found]
    _say({"height": verdict.height, "blocks": verdict.blocks, "found": told_of})
    return 0


class _Told:
    """Says how far it is, not too often."""

    def __init__(self) -> None:
        self._last = 0.0

    def at(self, height: int, tip: int) -> None:
        """Note how far it is."""
        now = time.monotonic()
        if now - self._last >= _TOLD_EVERY_S:
            self._last = now
            _say({"at": height, "of": tip})


def _cut(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the same with each long text cut short."""
    match value:
        case str() if len(value) > MOST_SHOWN:
            return f"{value[:MOST_SHOWN]}… ({len(value)} characters)"
        case dict():
            return {name: _cut(one) for name, one in value.items()}
        case list():
            return [_cut(one) for one in value]
    return value


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _end_with_input() -> None:
    # Not by way of sys.stdin: a thread that holds its lock at the end makes Python abort instead of leaving.
    while os.read(sys.stdin.fileno(), 1 << 10):
        pass
    os._exit(0)
