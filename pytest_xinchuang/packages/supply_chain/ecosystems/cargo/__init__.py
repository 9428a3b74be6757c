"""Cargo's registry: Cargo.lock, and vendored crates."""
