"""Hosts that are no Linux: what works there, and what is told."""
