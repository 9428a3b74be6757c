"""From decisions to verdicts, from verdicts to a grade: pure functions of the journal."""
