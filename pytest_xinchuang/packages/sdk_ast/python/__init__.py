"""Python: APIs of packages, read without importing them, and compared as callers see them."""
