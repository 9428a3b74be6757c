"""Rules: what was read of an artifact against what a platform is."""
