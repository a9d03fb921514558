"""A deployment's state in one file, and back: store, archives, public keys."""
