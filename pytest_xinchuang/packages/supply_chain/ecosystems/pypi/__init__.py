"""PyPI: requirements with hashes, poetry.lock, uv.lock, Pipfile.lock, pylock.toml, and what is installed of wheels."""
