"""The wire contract, the card, and their generated stubs."""
