"""The engine; nothing else knows it."""
