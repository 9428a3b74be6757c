"""Go: each package is built for amd64 and for each platform's architecture, with cgo and without, and compared."""
