"""The whole way in one command: from a teacher to a student that took over under load."""
