"""Data sets: drawn or given, checked, staged and locked on the way in."""
