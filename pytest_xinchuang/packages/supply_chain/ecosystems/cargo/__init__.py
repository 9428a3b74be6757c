"""crates.io: Cargo.lock, and vendored crates."""
