"""Programs that we run: one runner for all of them, and one environment of the go command."""
