"""Benchmarks: one command a figure, each beside a limit measured in the same run. They fail nothing."""
