"""Clients in Python: what an import and the inspection of what it gave say."""
