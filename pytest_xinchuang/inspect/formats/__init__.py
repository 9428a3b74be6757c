"""Container formats: what a file is by its first bytes, and its members one after the other."""
