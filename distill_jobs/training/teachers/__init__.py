"""Teachers, one kind a file: each answers a batch in the student's classes."""
