package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// In a container, programs are started by a tracer of execve and execveat, as in the rootless sandbox where the kernel has no
// binfmt_misc for it: backends/inside/execs.py says how, and why it holds. What differs: the emulator has a name here,
// in a file system of ours that nobody else writes to; and we have no right to trace but that of the same user, which is that
// of root until a command becomes another, and to look at /proc/PID that of who can read the emulator.

const (
	execWord = "xc:exec"
	pinned   = "/.xc/pinned"
	plain    = "plain"
	logging  = "logging" // the emulator with a log of system calls
	refuser  = "refuser"

	// linux/ptrace.h
	ptraceGetRegset  = 0x4204
	ptraceSetRegset  = 0x4205
	ptraceSeize      = 0x4206
	ptraceListen     = 0x4208
	optSeccomp       = 0x80
	eventExec        = 4
	eventSeccomp     = 7
	eventStop        = 128
	noteGeneral      = 1
	noteSystemCall   = 0x404 // of arm64
	oPath            = 0x200000
	atFdcwd          = -100
	atNoFollow       = 0x100
	atEmptyPath      = 0x1000
	headSize         = 256 // BINPRM_BUF_SIZE, linux/binfmts.h
	mostScripts      = 4
	redZone          = 256
	onAnyStack       = 4096
	nameBelow        = 64 // wall/pinned.py
	noexec           = 8  // ST_NOEXEC
	prSetSeccomp     = 22
	seccompFilter    = 2
	closeOnExecFlags = 0o2000000
)

// pinRequest is what the host says of programs: see wall/emulation.py.
type pinRequest struct {
	Emulators map[string][]patch           `json:"emulators"` // plain and logging
	Doors     map[string]map[string]uint64 `json:"doors"`
	Called    map[string]string            `json:"called"`
	Refuser   string                       `json:"refuser"`
	Kinds     map[string][][2]string       `json:"kinds"`
	Filter    string                       `json:"filter"`
	Log       string                       `json:"log"` // as the logging emulator is told it
}

type patch struct {
	offset int64
	data   []byte
}

// UnmarshalJSON reads a pair of an offset and hexadecimal bytes.
func (p *patch) UnmarshalJSON(text []byte) error {
	var data string
	err := json.Unmarshal(text, &[2]any{&p.offset, &data})
	if err == nil {
		p.data, err = hex.DecodeString(data)
	}
	return err
}

type format struct{ want, care []byte }

type identity struct{ device, number uint64 }

type rewritten struct {
	arguments [6]uint64
	refused   bool
	name      string
}

// execs is the tracer; nil where there is none. All of it but “plan“ belongs to the thread that waits.
var execs *tracer

type tracer struct {
	uid                int
	emulators, refused []format
	doors              map[string]map[string]uint64
	called             map[string]string
	log                string
	ours               map[identity]string
	fresh              map[int]string
	pending            map[int]rewritten
}

// jobs are done by the thread that waits for processes: a tracer is a thread (ptrace(2)).
var jobs = make(chan func())

func doJobs() {
	for {
		select {
		case job := <-jobs:
			job()
		default:
			return
		}
	}
}

// pin makes the emulator that has its CPU model within itself, and begins to start programs by the tracer.
func pin(id uint32, payload []byte) {
	var request pinRequest
	err := json.Unmarshal(payload, &request)
	if err == nil {
		err = makeTracer(request)
	}
	sendJSON(outDone, id, map[string]int{"errno": errno(err)})
}

func makeTracer(request pinRequest) error {
	if registers.total == 0 || credential == nil {
		return syscall.ENOSYS
	}
	t := &tracer{
		uid: int(credential.Uid), doors: request.Doors, called: request.Called, log: request.Log,
		ours: map[identity]string{}, fresh: map[int]string{}, pending: map[int]rewritten{},
	}
	for _, kind := range []string{plain, logging} {
		if err := copyPatched(pinned+"/"+kind, request.Emulators[kind]); err != nil {
			return err
		}
	}
	program, wrong1 := hex.DecodeString(request.Refuser)
	filter, wrong2 := hex.DecodeString(request.Filter)
	err := errors.Join(
		wrong1, wrong2, os.WriteFile(pinned+"/"+refuser, program, 0o555), os.WriteFile(pinned+"/filter", filter, 0o600),
	)
	if err != nil {
		return err
	}
	for kind, list := range map[string]*[]format{"emulator": &t.emulators, refuser: &t.refused} {
		for _, pair := range request.Kinds[kind] {
			want, wrong1 := hex.DecodeString(pair[0])
			care, wrong2 := hex.DecodeString(pair[1])
			if wrong1 != nil || wrong2 != nil || len(want) != len(care) {
				return syscall.EINVAL
			}
			*list = append(*list, format{want, care})
		}
	}
	for _, kind := range []string{plain, logging, refuser} {
		var about syscall.Stat_t
		if err := syscall.Stat(pinned+"/"+kind, &about); err != nil {
			return err
		}
		t.ours[identity{uint64(about.Dev), about.Ino}] = kind
	}
	// Whether we may trace at all: a child that waits and ends.
	lock.Lock()
	pid, gate, err := waiting(&syscall.ProcAttr{Files: []uintptr{2, 2, 2}}, "0,0", "/", nil)
	lock.Unlock()
	if err != nil {
		return err
	}
	defer syscall.Close(gate)
	if err := ready(gate); err != nil {
		return err
	}
	return onTracer(func() error {
		err := t.seize(pid, "")
		if err == nil {
			execs = t
		}
		return err
	})
}

// copyPatched makes an emulator that has its words within itself. Everybody may read it, or nobody could look at who runs it.
func copyPatched(path string, patches []patch) error {
	source, err := os.Open("/.xc/emulator")
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o555)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	for _, patch := range patches {
		_, wrong := target.WriteAt(patch.data, patch.offset)
		err = errors.Join(err, wrong)
	}
	return errors.Join(err, target.Chmod(0o555), target.Close())
}

// waiting starts this program again, which says a byte when it can be traced, and waits for one.
func waiting(attributes *syscall.ProcAttr, whom, program string, argv []string) (int, int, error) {
	gate, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	attributes.Files = append(append([]uintptr{}, attributes.Files...), uintptr(gate[1]))
	pid, err := syscall.ForkExec("/proc/self/exe", append([]string{"/.xc/agent", execWord, whom, program}, argv...), attributes)
	syscall.Close(gate[1])
	if err != nil {
		syscall.Close(gate[0])
	}
	return pid, gate[0], err
}

// ready: until then its exec may not be over, and it cannot be traced.
func ready(gate int) error {
	var said [1]byte
	for {
		n, err := syscall.Read(gate, said[:])
		switch {
		case err == syscall.EINTR:
			continue
		case n != 1:
			return errors.Join(err, syscall.ECHILD)
		}
		return nil
	}
}

func onTracer(work func() error) error {
	done := make(chan error)
	jobs <- func() { done <- work() }
	return <-done
}

func (t *tracer) seize(pid int, name string) error {
	const options = optSysGood | optFork | optVfork | optClone | optExec | optSeccomp | optExitKill
	if number := ptrace(ptraceSeize, pid, 0, options); number != 0 {
		return number
	}
	t.fresh[pid] = name
	return nil
}

// -- how a program is started

type seen struct {
	ours bool
	head []byte // nil where nobody can read it
}

type planned struct {
	kind    string // emulator, refuser, or own: an emulator of ours, by way of /proc/PID/exe
	program string
	words   []string // in the place of argv[0]; nil leaves it
}

// plan is what the kernel would do with binfmt_misc (inside/programs.py, plan).
func (t *tracer) plan(path string, look func(string) (seen, error)) (planned, error) {
	program := path
	var words []string
	for range mostScripts + 1 {
		found, err := look(program)
		switch {
		case err != nil:
			return planned{}, err
		case found.ours && words != nil:
			return planned{}, syscall.ENOEXEC
		case found.ours:
			return planned{"own", program, nil}, nil
		case found.head == nil || matches(t.emulators, found.head):
			return planned{"emulator", program, words}, nil
		case matches(t.refused, found.head):
			return planned{"refuser", program, words}, nil
		}
		interpreter, argument, err := interpreterOf(found.head)
		if err != nil {
			return planned{}, err
		}
		next := []string{interpreter}
		if argument != "" {
			next = append(next, argument)
		}
		next = append(next, program)
		if len(words) > 0 {
			next = append(next, words[1:]...)
		}
		words, program = next, interpreter
	}
	return planned{}, syscall.ELOOP
}

func matches(formats []format, head []byte) bool {
	for _, f := range formats {
		same := true
		for n, care := range f.care {
			var found byte
			if n < len(head) {
				found = head[n]
			}
			same = same && found&care == f.want[n]&care
		}
		if same {
			return true
		}
	}
	return false
}

// interpreterOf reads a script's first line (fs/binfmt_script.c).
func interpreterOf(head []byte) (string, string, error) {
	if !bytes.HasPrefix(head, []byte("#!")) {
		return "", "", syscall.ENOEXEC
	}
	buffer := make([]byte, headSize-3)
	copy(buffer, head[2:min(len(head), headSize-1)])
	line, _, ended := bytes.Cut(buffer, []byte("\n"))
	if !ended && !bytes.ContainsAny(bytes.TrimLeft(line, " \t"), " \t\x00") {
		return "", "", syscall.ENOEXEC
	}
	text := bytes.Trim(line, " \t")
	if len(text) == 0 {
		return "", "", syscall.ENOEXEC
	}
	end := bytes.IndexAny(text, " \t\x00")
	if end < 0 {
		end = len(text)
	}
	if end == 0 {
		return "", "", syscall.EACCES
	}
	argument, _, _ := bytes.Cut(bytes.TrimLeft(text[end:], " \t"), []byte{0})
	return string(text[:end]), string(argument), nil
}

// asUser works on files with the rights of whom commands run as, on a thread that keeps no others meanwhile.
func (t *tracer) asUser(work func() error) error {
	syscall.RawSyscall(syscall.SYS_SETFSGID, uintptr(t.uid), 0, 0)
	syscall.RawSyscall(syscall.SYS_SETFSUID, uintptr(t.uid), 0, 0)
	defer func() {
		syscall.RawSyscall(syscall.SYS_SETFSUID, 0, 0, 0)
		syscall.RawSyscall(syscall.SYS_SETFSGID, 0, 0, 0)
	}()
	return work()
}

// ofProcess works on files of /proc/PID, which belong to the user of the process, or to root where that has made it so
// (prctl(2), PR_SET_DUMPABLE; we have no right to pass by the rights of files).
func (t *tracer) ofProcess(work func() error) error {
	if err := t.asUser(work); err == nil || !errors.Is(err, syscall.EACCES) {
		return err
	}
	return work()
}

func (t *tracer) memoryOf(pid int) (memory *os.File, err error) {
	err = t.ofProcess(func() error {
		memory, err = os.OpenFile("/proc/"+strconv.Itoa(pid)+"/mem", os.O_RDWR, 0)
		return err
	})
	return memory, err
}

// look looks at a file as who commands run as; with no path at the opened one.
func (t *tracer) look(directory int, path string, flags int) (found seen, err error) {
	err = t.asUser(func() error {
		if path == "" {
			found, err = t.judge(directory)
			return err
		}
		fd, err := syscall.Openat(directory, path, oPath|syscall.O_CLOEXEC|flags, 0)
		if err != nil {
			return err
		}
		defer syscall.Close(fd)
		found, err = t.judge(fd)
		return err
	})
	return found, err
}

func (t *tracer) judge(fd int) (seen, error) {
	var about syscall.Stat_t
	var system syscall.Statfs_t
	if err := errors.Join(syscall.Fstat(fd, &about), syscall.Fstatfs(fd, &system)); err != nil {
		return seen{}, syscall.EACCES
	}
	bit := uint32(0o001)
	if int(about.Uid) == t.uid {
		bit = 0o100
	} else if int(about.Gid) == t.uid {
		bit = 0o010
	}
	switch {
	case about.Mode&syscall.S_IFMT == syscall.S_IFLNK:
		return seen{}, syscall.ELOOP
	case about.Mode&syscall.S_IFMT != syscall.S_IFREG || about.Mode&bit == 0 || system.Flags&noexec != 0:
		return seen{}, syscall.EACCES
	}
	if t.ours[identity{uint64(about.Dev), about.Ino}] != "" {
		return seen{ours: true}, nil
	}
	opens := func() (int, error) {
		return syscall.Open("/proc/self/fd/"+strconv.Itoa(fd), syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	}
	reading, err := opens()
	if err != nil { // a program may be executed and not be read; perhaps it is root's
		syscall.RawSyscall(syscall.SYS_SETFSUID, 0, 0, 0)
		reading, err = opens()
		syscall.RawSyscall(syscall.SYS_SETFSUID, uintptr(t.uid), 0, 0)
	}
	if err != nil {
		return seen{}, nil
	}
	defer syscall.Close(reading)
	head := make([]byte, headSize)
	n, err := syscall.Pread(reading, head, 0)
	if err != nil {
		return seen{}, nil
	}
	return seen{head: head[:n]}, nil
}

// first is how a command of the host's is started: the argv of the emulator, and which file that is.
func (t *tracer) first(argv []string, program, cwd, kind string) ([]string, string, error) {
	var plan planned
	err := asTarget(func() error {
		directory, err := syscall.Open(cwd, oPath|syscall.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer syscall.Close(directory)
		plan, err = t.plan(program, func(path string) (seen, error) { return t.look(directory, path, 0) })
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if plan.kind != "emulator" {
		return argv, pinned + "/" + refuser, nil
	}
	words := plan.words
	if words == nil {
		words = argv[:1]
	}
	return append(append([]string{t.called[kind], plan.program}, words...), argv[1:]...), pinned + "/" + kind, nil
}

// start starts a command that the tracer takes: this program again, which waits for that and becomes the command.
func (t *tracer) start(
	program string, argv []string, attributes *syscall.ProcAttr, name string, log uint16,
) (int, func() error, error) {
	own := *attributes.Sys
	own.Credential = nil
	again := &syscall.ProcAttr{Dir: attributes.Dir, Env: attributes.Env, Files: attributes.Files, Sys: &own}
	pid, gate, err := waiting(again, strconv.Itoa(t.uid)+","+strconv.Itoa(int(log)), program, argv)
	if err != nil {
		return 0, nil, err
	}
	return pid, func() error {
		defer syscall.Close(gate)
		err := ready(gate)
		if err == nil {
			err = onTracer(func() error { return t.seize(pid, name) })
		}
		if err == nil {
			_, err = syscall.Write(gate, []byte{1})
		}
		return err
	}, nil
}

// becomeCommand waits until it is traced, and becomes the command. Its descriptor 3 ends where it is not to. It is root's, and
// dumpable, so that we may trace it and nobody else may.
func becomeCommand(whom, program string, argv []string) {
	runtime.LockOSThread()
	syscall.CloseOnExec(3)
	if _, err := syscall.Write(3, []byte{1}); err != nil || ready(3) != nil {
		os.Exit(125)
	}
	uid, number, _ := strings.Cut(whom, ",")
	id, _ := strconv.Atoi(uid)
	log, _ := strconv.ParseUint(number, 10, 16)
	filter, err := os.ReadFile(pinned + "/filter")
	if err != nil || id == 0 || len(filter) == 0 {
		os.Exit(125)
	}
	header := struct {
		length  uint16
		program *byte
	}{uint16(len(filter) / 8), &filter[0]}
	// This thread's alone: the others end with exec.
	_, _, e1 := syscall.RawSyscall(syscall.SYS_SETGROUPS, 0, 0, 0)
	_, _, e2 := syscall.RawSyscall(syscall.SYS_SETRESGID, uintptr(id), uintptr(id), uintptr(id))
	_, _, e3 := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(id), uintptr(id), uintptr(id))
	if e1|e2|e3 != 0 || (log != 0 && filterLog(uint16(log)) != 0) {
		os.Exit(125)
	}
	if _, _, e := syscall.RawSyscall(syscall.SYS_PRCTL, prSetSeccomp, seccompFilter, uintptr(unsafe.Pointer(&header))); e != 0 {
		os.Exit(125)
	}
	runtime.KeepAlive(filter)
	err = syscall.Exec(program, argv, os.Environ())
	os.Stderr.WriteString(program + ": " + err.Error() + "\n")
	os.Exit(126)
}

// -- stops

// stopped answers a stop of a traced process; false: it is none.
func (t *tracer) stopped(pid int, status syscall.WaitStatus) bool {
	if t == nil || !status.Stopped() {
		return false
	}
	event, number := int(status)>>16, status.StopSignal()
	switch {
	case event == eventSeccomp:
		t.asked(pid)
	case event == eventExec:
		t.began(pid)
	case event == eventStop && (number == syscall.SIGSTOP || number == syscall.SIGTSTP || number == syscall.SIGTTIN || number == syscall.SIGTTOU):
		ptrace(ptraceListen, pid, 0, 0)
	case event != 0:
		ptrace(syscall.PTRACE_CONT, pid, 0, 0)
	case number == syscall.SIGTRAP|0x80:
		t.failed(pid)
	default:
		ptrace(syscall.PTRACE_CONT, pid, 0, uintptr(number))
	}
	return true
}

// broken is why nothing can be said of a command, as the journal holds messages: it was not traced, or while it ran a process
// was killed because it had got past the tracer. nil: all is well.
func (c *command) broken() any {
	why := ""
	if c.untraced.Load() {
		why = "trace processes"
	} else if c.escaped.Load() {
		why = "a program got past the tracer and was killed"
	}
	if why == "" {
		return nil
	}
	return map[string]any{"id": why, "params": map[string]any{}}
}

func (t *tracer) ended(pid int) {
	if t != nil {
		delete(t.fresh, pid)
		delete(t.pending, pid)
	}
}

func (t *tracer) asked(pid int) {
	state, err := getRegisters(pid)
	_, ours := t.fresh[pid]
	number := int32(0)
	if err == nil {
		number = int32(state[registers.number])
	}
	if number == sysWrite || number == syscall.SYS_OPENAT {
		t.logged(pid, state)
		return
	}
	if err != nil || ours || (number != syscall.SYS_EXECVE && number != sysExecveat) {
		ptrace(syscall.PTRACE_CONT, pid, 0, 0)
		return
	}
	goesOn := syscall.PTRACE_CONT
	if rewrote, err := t.rewrite(pid, state, number == sysExecveat); err != nil {
		answer(pid, state, -int64(errno(err)))
	} else if rewrote {
		goesOn = syscall.PTRACE_SYSCALL
	}
	ptrace(goesOn, pid, 0, 0)
}

// logged: a call that perhaps is an emulator's to its log.
func (t *tracer) logged(pid int, state []uint64) {
	var number uint64
	ptraceAt(ptraceGetEventMsg, pid, 0, unsafe.Pointer(&number))
	if log := logOf(uint16(number)); log != nil {
		if memory, err := t.memoryOf(pid); err == nil {
			if value, ours := log.answer(memory, pid, state); ours {
				answer(pid, state, value)
			}
			memory.Close()
		} else {
			log.unread(pid)
		}
	}
	ptrace(syscall.PTRACE_CONT, pid, 0, 0)
}

func (t *tracer) rewrite(pid int, state []uint64, at bool) (bool, error) {
	memory, err := t.memoryOf(pid)
	if err != nil {
		return false, syscall.EFAULT
	}
	defer memory.Close()
	var arguments [6]uint64
	for n, index := range registers.arguments {
		arguments[n] = state[index]
	}
	first := 0
	if at {
		first = 1
	}
	path, err := stringAt(memory, arguments[first])
	if err != nil {
		return false, err
	}
	name, directory, flags := path, "cwd", uint64(0)
	if at {
		number := int32(arguments[0])
		if flags = arguments[4] & 0xffffffff; flags&^(atEmptyPath|atNoFollow) != 0 {
			return false, syscall.EINVAL
		}
		if !strings.HasPrefix(path, "/") && number != atFdcwd {
			directory = "fd/" + strconv.Itoa(int(number))
			name = "/dev/" + directory
			if path != "" {
				name += "/" + path
			}
		}
	}
	if path == "" && flags&atEmptyPath == 0 {
		return false, syscall.ENOENT
	}
	given := true // the first look is at what was given
	plan, err := t.plan(name, func(wanted string) (seen, error) {
		if !given {
			return t.lookAs(pid, "cwd", wanted, 0)
		}
		given = false
		var found seen
		var err error
		switch {
		case path == "" && directory == "cwd":
			return seen{}, syscall.EACCES
		case path == "":
			found, err = t.lookAs(pid, directory, "", 0)
		case flags&atNoFollow != 0:
			found, err = t.lookAs(pid, directory, path, syscall.O_NOFOLLOW)
		default:
			found, err = t.lookAs(pid, directory, path, 0)
		}
		if err == nil && directory != "cwd" && !found.ours && t.closes(pid, directory[3:]) {
			err = syscall.ENOENT
		}
		return found, err
	})
	if err != nil || plan.kind == "own" {
		return false, err
	}
	pointers, err := pointersAt(memory, arguments[first+1])
	if err != nil {
		return false, err
	}
	kind := t.kindOf(pid)
	strings_ := []string{pinned + "/" + kind, t.called[kind], plan.program}
	switch {
	case plan.words != nil:
		strings_ = append(strings_, plan.words...)
		pointers = pointers[min(1, len(pointers)):]
	case len(pointers) == 0:
		strings_ = append(strings_, "")
	}
	place, block, err := t.layOut(pid, state[registers.stack], strings_, pointers)
	if err != nil {
		return false, err
	}
	if _, err := memory.WriteAt(block, int64(place)); err != nil {
		return false, syscall.E2BIG
	}
	changed := append([]uint64{}, state...)
	changed[registers.arguments[first]] = place + 8*uint64(len(strings_)+len(pointers))
	changed[registers.arguments[first+1]] = place
	if at {
		changed[registers.arguments[4]] = 0
	}
	if err := setRegisters(pid, changed); err != nil {
		return false, err
	}
	t.pending[pid] = rewritten{arguments, plan.kind == "refuser", filepath.Base(name)}
	return true, nil
}

// layOut is where the new argv stands, and what: it, and the strings behind it, the first of which is the path.
func (t *tracer) layOut(pid int, stack uint64, words []string, kept []uint64) (uint64, []byte, error) {
	table := uint64(8 * (len(words) + len(kept)))
	size := table
	for _, word := range words {
		size += uint64(len(word)) + 1
	}
	if size > onAnyStack && size+onAnyStack > t.roomOn(pid, stack) {
		return 0, nil, syscall.E2BIG
	}
	if stack < redZone+size+onAnyStack {
		return 0, nil, syscall.EFAULT
	}
	place := (stack - redZone - size) &^ 15
	block := make([]byte, 0, size)
	at := place + table
	for n, word := range words {
		if n > 0 {
			block = binary.LittleEndian.AppendUint64(block, at)
		}
		at += uint64(len(word)) + 1
	}
	for _, pointer := range append(append([]uint64{}, kept...), 0) {
		block = binary.LittleEndian.AppendUint64(block, pointer)
	}
	for _, word := range words {
		block = append(append(block, word...), 0)
	}
	return place, block, nil
}

func (t *tracer) roomOn(pid int, stack uint64) uint64 {
	var text []byte
	t.ofProcess(func() (err error) {
		text, err = os.ReadFile("/proc/" + strconv.Itoa(pid) + "/maps")
		return err
	})
	for _, line := range strings.Split(string(text), "\n") {
		from, rest, _ := strings.Cut(line, "-")
		to, _, _ := strings.Cut(rest, " ")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 != nil || err2 != nil || stack < start || stack >= end {
			continue
		}
		if used := end - stack; strings.HasSuffix(line, "[stack]") && used < 4<<20 {
			return max(stack-start, 4<<20-used)
		}
		return stack - start
	}
	return 0
}

// answer has a call not made, and answers it.
func answer(pid int, state []uint64, value int64) {
	state[registers.result] = uint64(value)
	if runtime.GOARCH == "amd64" {
		state[registers.number] = ^uint64(0)
	} else {
		none := int32(-1)
		regset(ptraceSetRegset, pid, noteSystemCall, unsafe.Pointer(&none), 4)
	}
	setRegisters(pid, state)
}

// failed: a rewritten call has failed, and its arguments are what they were.
func (t *tracer) failed(pid int) {
	if call, ok := t.pending[pid]; ok {
		delete(t.pending, pid)
		if state, err := getRegisters(pid); err == nil {
			for n, index := range registers.arguments {
				if index != registers.result {
					state[index] = call.arguments[n]
				}
			}
			setRegisters(pid, state)
		}
	}
	ptrace(syscall.PTRACE_CONT, pid, 0, 0)
}

// began: a process has a new program, of which no instruction has run.
func (t *tracer) began(pid int) {
	var former uint64
	ptraceAt(ptraceGetEventMsg, pid, 0, unsafe.Pointer(&former))
	call, rewrote := t.pending[int(former)]
	delete(t.pending, int(former))
	name, first := t.fresh[pid]
	delete(t.fresh, pid)
	kind := t.kindOf(pid)
	if kind == "" {
		for _, c := range commands { // of whichever it was: `lock` is ours
			c.escaped.Store(true)
		}
		syscall.Kill(pid, syscall.SIGKILL)
		return
	}
	if state, err := getRegisters(pid); err == nil && kind != refuser && (rewrote || first) {
		door := t.doors[kind]["named"]
		if rewrote && call.refused {
			door = t.doors[kind]["refused"]
		} else {
			if rewrote {
				name = call.name
			}
			var called [16]byte
			copy(called[:15], name)
			if memory, err := t.memoryOf(pid); err == nil {
				memory.WriteAt(called[:], int64(state[registers.stack]-nameBelow))
				memory.Close()
			} else {
				door = 0
			}
		}
		state[registers.place] += door
		setRegisters(pid, state)
	}
	ptrace(syscall.PTRACE_CONT, pid, 0, 0)
}

// kindOf is which of our programs a process runs; nothing if it is another.
func (t *tracer) kindOf(pid int) string {
	var about syscall.Stat_t
	err := t.ofProcess(func() error { return syscall.Stat("/proc/"+strconv.Itoa(pid)+"/exe", &about) })
	if err != nil {
		return ""
	}
	return t.ours[identity{uint64(about.Dev), about.Ino}]
}

// lookAs looks at a file from where a process stands: its directory (cwd, or fd/N), or with no path that descriptor itself.
func (t *tracer) lookAs(pid int, directory, path string, flags int) (seen, error) {
	own := "/proc/" + strconv.Itoa(pid) + "/"
	if strings.HasPrefix(path, "/proc/1/") {
		return seen{}, syscall.EACCES
	}
	for link, there := range map[string]string{"/dev/fd/": "fd/", "/proc/self/": "", "/proc/thread-self/": ""} {
		if rest, ok := strings.CutPrefix(path, link); ok {
			path = own + there + rest
		}
	}
	if n := map[string]string{"/dev/stdin": "0", "/dev/stdout": "1", "/dev/stderr": "2"}[path]; n != "" {
		path = own + "fd/" + n
	}
	var place int
	err := t.ofProcess(func() (err error) {
		place, err = syscall.Open(own+directory, oPath|syscall.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return seen{}, syscall.EBADF
	}
	defer syscall.Close(place)
	return t.look(place, path, flags)
}

// closes: whether a descriptor is closed when the program begins.
func (t *tracer) closes(pid int, number string) bool {
	var text []byte
	t.ofProcess(func() (err error) {
		text, err = os.ReadFile("/proc/" + strconv.Itoa(pid) + "/fdinfo/" + number)
		return err
	})
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, "flags:"); ok {
			flags, _ := strconv.ParseUint(strings.TrimSpace(value), 8, 64)
			return flags&closeOnExecFlags != 0
		}
	}
	return false
}

func stringAt(memory *os.File, address uint64) (string, error) {
	found := []byte{}
	for len(found) < 4096 {
		at := address + uint64(len(found))
		part := make([]byte, 4096-at%4096)
		n, _ := memory.ReadAt(part, int64(at))
		if n <= 0 {
			return "", syscall.EFAULT
		}
		end := bytes.IndexByte(part[:n], 0)
		if end >= 0 {
			found = append(found, part[:end]...)
			if len(found) >= 4096 {
				break
			}
			return string(found), nil
		}
		found = append(found, part[:n]...)
	}
	return "", syscall.ENAMETOOLONG
}

func pointersAt(memory *os.File, address uint64) ([]uint64, error) {
	const most = 1 << 20
	found := []uint64{}
	if address == 0 {
		return found, nil
	}
	rest := []byte{}
	for len(found) < most {
		at := address + 8*uint64(len(found)) + uint64(len(rest))
		part := make([]byte, 4096-at%4096)
		n, _ := memory.ReadAt(part, int64(at))
		if n <= 0 {
			return nil, syscall.EFAULT
		}
		rest = append(rest, part[:n]...)
		for len(rest) >= 8 {
			value := binary.LittleEndian.Uint64(rest)
			if value == 0 {
				return found, nil
			}
			found, rest = append(found, value), rest[8:]
		}
	}
	return nil, syscall.E2BIG
}

func getRegisters(pid int) ([]uint64, error) {
	state := make([]uint64, registers.total)
	return state, regset(ptraceGetRegset, pid, noteGeneral, unsafe.Pointer(&state[0]), 8*uintptr(registers.total))
}

func setRegisters(pid int, state []uint64) error {
	return regset(ptraceSetRegset, pid, noteGeneral, unsafe.Pointer(&state[0]), 8*uintptr(registers.total))
}

func regset(request, pid int, note uintptr, data unsafe.Pointer, size uintptr) error {
	vector := struct {
		base unsafe.Pointer
		size uintptr
	}{data, size}
	if number := ptraceAt(request, pid, note, unsafe.Pointer(&vector)); number != 0 {
		return number
	}
	return nil
}
