"""APIs of Rust crates: what rustdoc tells of them, compared, and judged by clients that cargo checks."""
