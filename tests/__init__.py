"""The tests: each module mirrors the one it covers; `vectors/` holds golden vectors and their generators."""
