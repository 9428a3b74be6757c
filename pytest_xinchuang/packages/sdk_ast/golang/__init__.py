"""Clients in Go: written of the old version, and type-checked against both."""
