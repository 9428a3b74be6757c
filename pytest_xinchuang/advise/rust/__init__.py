"""Rust: cargo checks each crate for x86-64 and for each platform's target, and what differs is told."""
