"""Reads artifacts and runs nothing."""
