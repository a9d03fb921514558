"""What the processes say: one look for all of them, and nothing in it that must stay secret."""
