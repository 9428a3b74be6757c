"""One room for each registry of packages: how its locks are read, what it published, and how its packages are laid out."""
