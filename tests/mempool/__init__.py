"""Tests of the pending entries."""
