"""Differential fuzzing of the SM reference: random, extreme and malformed operations, asked of it and of other libraries."""
