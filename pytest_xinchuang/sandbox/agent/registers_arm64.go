package main

// struct user_pt_regs, arch/arm64/include/uapi/asm/ptrace.h: x0 to x30, sp, pc, pstate
var registers = registerPlaces{34, 8, 0, [6]int{0, 1, 2, 3, 4, 5}, 31, 32}

const (
	sysExecveat = 281
	sysWrite    = 64
)
