"""What a student can take from its teacher, one pure function a file."""
