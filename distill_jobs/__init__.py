"""Offline jobs: distil, evaluate, export, quantize, gate, archive."""
