"""Protobuf package inference: the Open Inference Protocol, KServe V2."""
