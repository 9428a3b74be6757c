//go:build arm64 || loong64 || riscv64

package main

// include/uapi/asm-generic/unistd.h
const (
	sysSeccomp     = 277
	sysFinitModule = 273
	sysOpen        = 1 << 32 // there is openat alone
)
