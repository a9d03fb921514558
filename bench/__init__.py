"""Measurements: each writes a file under `bench/results`."""
