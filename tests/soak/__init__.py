"""Faults that are injected into whole runs: no grade may be too good, nothing may be left, and the next run must be right."""
