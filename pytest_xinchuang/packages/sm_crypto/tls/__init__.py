"""Finds the protocols that a TLS endpoint speaks, with a small reader of the handshakes that stock libraries cannot do."""
