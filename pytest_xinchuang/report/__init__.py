"""Reports: pure functions of the journal."""
