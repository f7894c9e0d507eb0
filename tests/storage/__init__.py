"""Tests of the storage: one contract for each implementation of the port, and what is particular to each."""
