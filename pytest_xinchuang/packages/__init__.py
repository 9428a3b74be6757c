"""Conformance packages, one room each."""
