"""A period on one page: what the arms answered, how fast, how alike, and who changed what."""
