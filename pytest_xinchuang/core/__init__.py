"""Verdicts, platforms, subjects, journal and grading: pure data and rules, nothing of pytest and nothing of the network."""
