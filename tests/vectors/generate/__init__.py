"""Generators of the golden vectors, written apart from the code that the vectors check: plain and slow."""
