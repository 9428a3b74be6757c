"""What a TLS endpoint speaks: a small reader of handshakes for what stock libraries cannot speak."""
