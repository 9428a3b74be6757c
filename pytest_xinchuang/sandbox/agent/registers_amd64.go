package main

// struct user_regs_struct, arch/x86/include/asm/user_64.h
var registers = registerPlaces{27, 15, 10, [6]int{14, 13, 12, 7, 9, 8}, 19, 16}

const (
	sysExecveat = 322
	sysWrite    = 1
)
