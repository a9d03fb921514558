"""Searching how an archive is best deployed on this machine."""
