"""Data and its validation: platforms, subjects, requirements, verdicts, evidence. Runs nothing."""
