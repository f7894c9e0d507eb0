"""Tests of the chain, by what it does."""
