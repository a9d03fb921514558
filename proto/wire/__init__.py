"""Versions of the contract."""
