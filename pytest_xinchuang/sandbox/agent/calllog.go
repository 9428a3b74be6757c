package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

// callLog takes down what the emulators of one command log of its system calls: backends/tracer.py says how, and whom this holds
// against. Here a second filter of the command has the tracer asked, with the number of the log as the filter's data.
type callLog struct {
	command uint32
	path    []byte
	opened  uint64
	buffers map[uint64]uint64
	places  map[int32]uint64
	pieces  []byte
	size    int
	lost    string
}

const (
	firstNumber = 0x40000000 // above any descriptor
	lastNumber  = firstNumber + 1<<20
	keptBytes   = 64 << 20
	flushBytes  = 1 << 16
	logFlags    = syscall.O_WRONLY | syscall.O_CREAT | syscall.O_TRUNC
	retTrace    = 0x7ff00000
	retAllow    = 0x7fff0000
)

// logs are those of commands that run, by number.
var logs = struct {
	sync.Mutex
	last uint16
	open map[uint16]*callLog
}{open: map[uint16]*callLog{}}

func newLog(command uint32, path string) uint16 {
	logs.Lock()
	defer logs.Unlock()
	for logs.last++; logs.last == 0 || logs.open[logs.last] != nil; logs.last++ {
	}
	logs.open[logs.last] = &callLog{
		command: command, path: append([]byte(path), 0), buffers: map[uint64]uint64{}, places: map[int32]uint64{},
	}
	return logs.last
}

func logOf(number uint16) *callLog {
	logs.Lock()
	defer logs.Unlock()
	return logs.open[number]
}

// closeLog ends a log; it tells why it is not whole, as the journal holds messages, and how many emulators have begun to log.
func closeLog(number uint16) (any, uint64) {
	logs.Lock()
	log := logs.open[number]
	delete(logs.open, number)
	logs.Unlock()
	log.flush()
	if log.lost == "" {
		return nil, log.opened
	}
	return map[string]any{"id": log.lost, "params": map[string]any{}}, log.opened
}

func (l *callLog) flush() {
	if len(l.pieces) > 0 {
		send(outTrace, l.command, l.pieces)
		l.pieces = l.pieces[:0]
	}
}

// answer says what a call of an emulator's is answered; false: the kernel answers it.
func (l *callLog) answer(memory *os.File, thread int, state []uint64) (int64, bool) {
	number, place := int32(state[registers.number]), state[registers.place]&0xfff
	first, second, third := state[registers.arguments[0]], state[registers.arguments[1]], state[registers.arguments[2]]
	before, seen := l.places[number]
	known := !seen || before == place
	value, ours := int64(-int64(syscall.EBADF)), true
	switch {
	case number == sysWrite && first >= firstNumber && first < lastNumber:
		if known {
			value = l.written(memory, thread, first, second, third)
		}
	case number == syscall.SYS_OPENAT && third == logFlags && known:
		value, ours = l.begin(memory, second)
	default:
		return 0, false
	}
	if ours && value >= 0 {
		l.places[number] = place
	}
	return value, ours
}

func (l *callLog) begin(memory *os.File, address uint64) (int64, bool) {
	found := make([]byte, len(l.path))
	if n, _ := memory.ReadAt(found, int64(address)); n != len(found) || !bytes.Equal(found, l.path) {
		return 0, false
	}
	l.opened++
	if firstNumber+l.opened >= lastNumber {
		l.lost = "too many programs were started"
		return -int64(syscall.EMFILE), true
	}
	return int64(firstNumber + l.opened), true
}

func (l *callLog) written(memory *os.File, thread int, number, address, size uint64) int64 {
	if number > firstNumber+l.opened {
		return -int64(syscall.EBADF)
	}
	if buffer, ok := l.buffers[number]; ok && buffer != address {
		return -int64(syscall.EBADF)
	}
	l.buffers[number] = address
	if l.size += int(min(size, keptBytes)); l.size > keptBytes {
		l.lost = "it is too long"
		return int64(size)
	}
	data := make([]byte, size)
	if n, _ := memory.ReadAt(data, int64(address)); n != len(data) {
		l.unread(thread)
		return int64(size)
	}
	l.pieces = binary.LittleEndian.AppendUint32(l.pieces, uint32(thread))
	l.pieces = binary.LittleEndian.AppendUint32(l.pieces, uint32(size))
	if l.pieces = append(l.pieces, data...); len(l.pieces) > flushBytes {
		l.flush()
	}
	return int64(size)
}

// unread notes that a piece of the log cannot be read. A thread that was killed meanwhile takes nothing out of the log: qemu-user
// prints a call before it makes it, so that what was not printed to its end was not called.
func (l *callLog) unread(thread int) {
	if _, err := getRegisters(thread); err == nil && l.lost == "" {
		l.lost = "the memory of a process cannot be read"
	}
}

// filterLog has this thread's tracer asked for what the log needs.
func filterLog(number uint16) syscall.Errno {
	const (
		load, equal, notBelow, ret = 0x20, 0x15, 0x35, 0x06
		argument                   = 16
	)
	type row struct {
		code   uint16
		jt, jf uint8
		k      uint32
	}
	rows := []row{
		{load, 0, 0, 0},
		{equal, 3, 0, sysWrite},
		{equal, 0, 6, syscall.SYS_OPENAT},
		{load, 0, 0, argument + 16},
		{equal, 3, 4, logFlags},
		{load, 0, 0, argument},
		{notBelow, 0, 2, firstNumber},
		{notBelow, 1, 0, lastNumber},
		{ret, 0, 0, retTrace | uint32(number)},
		{ret, 0, 0, retAllow},
	}
	header := struct {
		length uint16
		rows   *row
	}{uint16(len(rows)), &rows[0]}
	_, _, e := syscall.RawSyscall(syscall.SYS_PRCTL, prSetSeccomp, seccompFilter, uintptr(unsafe.Pointer(&header)))
	runtime.KeepAlive(rows)
	return e
}
