"""Fortran: compiled for both where there is a compiler for both."""
