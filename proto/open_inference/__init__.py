"""Versions of the Open Inference Protocol's contract."""
