"""Tests of the peer book and what peers work out alike."""
