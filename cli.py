"""Ask a running node, or pay: `python cli.py --help`."""

from __future__ import annotations

from node.cli import main

if __name__ == "__main__":
    main()
