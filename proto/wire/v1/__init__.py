"""Protobuf package understudy.v1."""
