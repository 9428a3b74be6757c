package main

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

const (
	traceWord = "xc:trace"

	// linux/ptrace.h
	ptraceSetOptions     = 0x4200
	ptraceGetEventMsg    = 0x4201
	ptraceGetSyscallInfo = 0x420e // since 5.3
	ptraceSyscall        = 24
	optSysGood           = 0x01
	optFork              = 0x02
	optVfork             = 0x04
	optClone             = 0x08
	optExec              = 0x10
	optExitKill          = 0x100000
	wall                 = 0x40000000 // __WALL, linux/wait.h
)

// syscallInfo is struct ptrace_syscall_info of linux/ptrace.h: at entry its union has the number and six arguments, at
// exit the value and whether that is an error.
type syscallInfo struct {
	op     uint8
	_      [3]uint8
	arch   uint32
	ip, sp uint64
	values [7]uint64
}

// forkExecTraced starts a command under a tracer, which is this program again: the stops of what it traces would otherwise
// be taken by whichever thread waits.
func (c *command) forkExecTraced(program string, argv []string, attributes *syscall.ProcAttr) (int, error) {
	if info, err := os.Stat(program); err != nil {
		return 0, err
	} else if info.Mode()&0o111 == 0 {
		return 0, syscall.EACCES
	}
	read, write, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer write.Close()
	attributes.Files = append(attributes.Files, write.Fd())
	// The tracer stays who we are: the command can neither stop it nor write to its log.
	tracer := *attributes.Sys
	tracer.Credential = nil
	attributes.Sys = &tracer
	uid := strconv.Itoa(os.Getuid())
	if credential != nil {
		uid = strconv.Itoa(int(credential.Uid))
	}
	pid, err := syscall.ForkExec("/proc/self/exe", append([]string{"/init", traceWord, uid + ",3", program}, argv...), attributes)
	if err != nil {
		read.Close()
		return 0, err
	}
	c.readers.Add(1)
	go copyOut(c, read, outTrace)
	return pid, nil
}

func ptrace(request int, pid int, address, data uintptr) syscall.Errno {
	_, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, uintptr(request), uintptr(pid), address, data, 0, 0)
	return errno
}

// ptraceAt is ptrace with a place of ours: a stack may move until the call itself is made.
func ptraceAt(request int, pid int, address uintptr, data unsafe.Pointer) syscall.Errno {
	_, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, uintptr(request), uintptr(pid), address, uintptr(data), 0, 0)
	return errno
}

// trace runs a program as a user ("UID,FD"), writes a line for each of its system calls to that descriptor (pid, number, six arguments, value,
// whether that is an error; hexadecimal but for the first two; then the path of a call that opens a file, of clone3 the flags,
// as 0x and hexadecimal bytes), and for each signal that comes to it ("pid S number"), and ends as the program ends.
func trace(whereto, program string, argv []string) {
	const setDumpable = 4 // PR_SET_DUMPABLE, linux/prctl.h
	runtime.LockOSThread()
	uid, number, _ := strings.Cut(whereto, ",")
	fd, _ := strconv.Atoi(number)
	log := os.NewFile(uintptr(fd), "log")
	syscall.CloseOnExec(fd)
	// A command of the same user finds no way to the log by our /proc/PID/fd.
	syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	sys := &syscall.SysProcAttr{Ptrace: true}
	if id, _ := strconv.Atoi(uid); id != os.Getuid() {
		sys.Credential = &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}
	}
	main, err := syscall.ForkExec(program, argv, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: sys,
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		os.Exit(126)
	}
	started := map[int]bool{}
	entered := map[int]entry{}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, wall, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			os.Exit(125)
		}
		if status.Exited() || status.Signaled() {
			if pid == main {
				endAs(status)
			}
			continue
		}
		deliver := status.StopSignal()
		if !started[pid] {
			started[pid] = true
			ptrace(ptraceSetOptions, pid, 0, optSysGood|optFork|optVfork|optClone|optExec|optExitKill)
			if deliver == syscall.SIGSTOP || (pid == main && deliver == syscall.SIGTRAP) {
				deliver = 0
			}
		}
		switch {
		case deliver == syscall.SIGTRAP|0x80:
			deliver = 0
			var info syscallInfo
			if ptraceAt(ptraceGetSyscallInfo, pid, unsafe.Sizeof(info), unsafe.Pointer(&info)) == 0 {
				record(log, pid, entered, info)
			}
		case deliver == syscall.SIGTRAP && status.TrapCause() > 0:
			deliver = 0
		case deliver != 0:
			fmt.Fprintf(log, "%d S %d\n", pid, int(deliver))
		}
		ptrace(ptraceSyscall, pid, 0, uintptr(deliver))
	}
}

// entry is a call that was entered, and what its address points to where that matters.
type entry struct {
	values [7]uint64
	told   []byte
}

func record(log *os.File, pid int, entered map[int]entry, info syscallInfo) {
	const in, out = 1, 2 // PTRACE_SYSCALL_INFO_ENTRY, _EXIT
	switch info.op {
	case in:
		entered[pid] = entry{info.values, pointedTo(pid, info.values)}
	case out:
		if call, ok := entered[pid]; ok {
			v := call.values
			failed := info.values[1] & 0xff
			line := fmt.Sprintf("%d %d %x %x %x %x %x %x %x %d", pid, v[0], v[1], v[2], v[3], v[4], v[5], v[6], info.values[0], failed)
			if len(call.told) > 0 {
				line += fmt.Sprintf(" 0x%x", call.told)
			}
			fmt.Fprintln(log, line)
			delete(entered, pid)
		}
	}
}

// pointedTo reads the path that a call opens, or the flags of clone3 (the first field of struct clone_args, eight bytes).
func pointedTo(pid int, values [7]uint64) []byte {
	const clone3, openat2, longest = 435, 437, 4096 // the same numbers on every architecture
	var address uint64
	size := longest
	switch values[0] {
	case syscall.SYS_OPENAT, openat2:
		address = values[2]
	case sysOpen:
		address = values[1]
	case clone3:
		address, size = values[1], 8
	default:
		return nil
	}
	memory, err := os.Open("/proc/" + strconv.Itoa(pid) + "/mem")
	if err != nil {
		return nil
	}
	defer memory.Close()
	found := []byte{}
	for len(found) < size {
		part := make([]byte, min(256, size-len(found)))
		n, _ := memory.ReadAt(part, int64(address)+int64(len(found)))
		found = append(found, part[:n]...)
		if end := bytes.IndexByte(part[:n], 0); size == longest && end >= 0 {
			return found[:len(found)-n+end]
		}
		if n < len(part) {
			break
		}
	}
	return found
}

// endAs ends this process as another one did.
func endAs(status syscall.WaitStatus) {
	if status.Exited() {
		os.Exit(status.ExitStatus())
	}
	// The Go runtime has handlers of its own for most signals: the default action is put back past it (rt_sigaction(2)
	// with an all-zero struct, SIG_DFL, and the kernel's sigset of 8 bytes).
	var plain [32]byte
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(status.Signal()), uintptr(unsafe.Pointer(&plain)), 0, 8, 0, 0)
	signal.Reset()
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(status.Signal()), uintptr(unsafe.Pointer(&plain)), 0, 8, 0, 0)
	syscall.Kill(os.Getpid(), status.Signal())
	select {}
}
