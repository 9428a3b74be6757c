"""Names for the ids of the requirements that the engine decides."""

from __future__ import annotations

HELLO, HANDSHAKE, TLS_CERTIFICATES = "XC-SM-001", "XC-SM-005", "XC-SM-026"
SAMPLES = {"sm3": "XC-SM-002", "sm4": "XC-SM-003", "sm2": "XC-SM-004"}
CONCURRENCY, NONCES, PROPERTIES = "XC-SM-032", "XC-SM-033", "XC-SM-034"
VARIANTS, SURVIVES = "XC-SM-036", "XC-SM-037"
TIMING, PADDING_ORACLE, THROUGHPUT, SELF_TEST = "XC-SM-040", "XC-SM-041", "XC-SM-042", "XC-SM-043"
RANDOMNESS = "XC-SM-044"
