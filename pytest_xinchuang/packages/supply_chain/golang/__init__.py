"""Go modules: what a module is built from, file by file."""
