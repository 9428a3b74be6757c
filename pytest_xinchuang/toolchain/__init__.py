"""What builds target code: zig, GNU cross compilers, Go."""
