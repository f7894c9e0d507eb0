"""What people type: `python cli.py COMMAND`, one file a family. Asks a running node, and is no part of it."""

from __future__ import annotations

from node.cli.main import main

__all__ = ["main"]
