"""Ask a running node, or pay: `python cli.py --help`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from node.cli import main

        main()
    except KeyboardInterrupt:  # while it was loading; later it is told apart in there
        sys.exit(130)
