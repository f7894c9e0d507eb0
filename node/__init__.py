"""Indelible: a shared logbook that nobody can rewrite, kept by a network of nodes."""

__version__ = "0.1.0"
