"""`python -m node`: read the settings, open the folder, run the daemon until it is stopped.

Every refusal here is one line that says what to do next; a traceback means a bug of ours.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Final

from node.arguments import parse_arguments
from node.config import Arguments
from node.paths import UnsupportedPlatform, refuse_unsupported_platform

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
"""Ctrl-C before the node listens to signals, as shells count them."""

_YOUNG_OBJECTS: Final = 200_000
"""Objects made and not let go of, before the collector looks for cycles among them: some 30 MB at most. By
default it is 700; entries on their way through a sync are as many all the time, and hold no cycles."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a node; return the exit status: 0 stopped, 1 refused or failed, 2 wrong settings, 130 Ctrl-C."""
    try:
        refuse_unsupported_platform()
        return _run(parse_arguments(sys.argv[1:] if argv is None else argv))
    except UnsupportedPlatform as error:
        return _say(str(error), EXIT_FAILED)
    except KeyboardInterrupt:  # while it opens or mends its book; later it is told apart in there
        return EXIT_INTERRUPTED


def _run(arguments: Arguments) -> int:
    # Behind the flags, so that --help and wrong usage answer at once.
    # Nothing that is imported is ever garbage: the collector need not look for it there, now or later.
    gc.disable()
    from node import startup  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    gc.set_threshold(_YOUNG_OBJECTS)
    return startup.run(arguments)


def _say(text: str, status: int) -> int:
    sys.stderr.write(f"indelible: {text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
