"""Runs looked at afterwards: listed, compared, diagnosed."""
