"""What was observed, written down as it happens."""
