"""Desired state, releases, keys and heartbeats."""
