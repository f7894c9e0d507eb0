"""Fuzz targets: any bytes at all, and a bound of a few seconds for each. Each states its invariant first."""
