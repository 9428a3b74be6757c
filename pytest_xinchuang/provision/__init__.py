"""Emulators and root filesystems: made once, kept in a cache, verified on each use."""
