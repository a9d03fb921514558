"""TLS: what our listeners show, what our clients trust."""
