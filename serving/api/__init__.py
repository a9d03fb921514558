"""Thin adapters: HTTP, gRPC and the admin API."""
