"""Who gets in: keys, and what an operator may set of them, of TLS and of limits."""
