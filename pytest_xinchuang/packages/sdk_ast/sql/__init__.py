"""SQL schemas: migrations folded to the tables that result, compared by who reads and who writes, judged by a database."""
