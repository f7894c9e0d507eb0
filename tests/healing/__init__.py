"""Healing, tried with edits of every kind on a small book."""
