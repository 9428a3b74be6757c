"""Ways to open a sandbox: one module each, and ``shipped`` has the table of them."""
