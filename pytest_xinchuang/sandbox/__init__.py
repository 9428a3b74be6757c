"""Where target code runs: one small protocol, several backends."""
