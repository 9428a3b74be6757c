//go:build !amd64 && !arm64

package main

// There is no emulator to be pinned on such a host (wall/pinned.py).
var registers registerPlaces

const (
	sysExecveat = 281
	sysWrite    = 64
)
