"""A reference for making and judging vectors, in plain Python: slow, not constant-time, and no library to encrypt with."""
