"""Builds are run as each platform would run them, behind the wall, and what stops there alone is told."""
