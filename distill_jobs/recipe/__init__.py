"""The sections of a job file, one noun a file."""
