"""Tests of the page: its server, its scripts in a real browser, and both together."""
