// Command agent is the first process of a sandbox: of a container, where it is fed by stdin, or of a virtual machine (as
// /init), where it is fed by a serial port. It runs the commands that it is sent.
//
// A frame is a big-endian uint32 with the length of what follows, a byte with its type, a uint32 with the number of the
// command, and the payload. To us: spawn (JSON), stdin (bytes; none closes it), kill, put (JSON line, then the content), get,
// list, reset, configure (JSON; a virtual machine's, before anything else). From us: stdout, stderr, exit (JSON), done (JSON),
// data, trace (lines of text).
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	inSpawn, inStdin, inKill, inPut, inGet, inList, inReset = 1, 2, 3, 4, 5, 6, 7
	inConfigure                                             = 8
	outStdout, outStderr, outExit, outDone, outData         = 101, 102, 103, 104, 105
	outTrace                                                = 106
	inPin                                                   = 20

	userWord = "--user" // who commands run as, where we are the first process of a container
)

type spawnRequest struct {
	Argv   []string `json:"argv"`
	Env    []string `json:"env"`
	Cwd    string   `json:"cwd"`
	Prefix []string `json:"prefix"` // the emulator and its options, or nothing
	Trace  bool     `json:"trace"`  // log the system calls of the command and its children
	Pinned bool     `json:"pinned"` // by the tracer of exec.go, in the place of Prefix
}

type command struct {
	id      uint32
	pid     int
	started time.Time
	readers sync.WaitGroup
	input   queue

	log      uint16      // of system calls: its number, or 0
	untraced atomic.Bool // the tracer could not take it, and it ended
	escaped  atomic.Bool // while it ran something had got past the tracer
}

// queue keeps a command's stdin in order, and keeps one that does not read from holding up the others.
type queue struct {
	lock   sync.Mutex
	filled sync.Cond
	items  [][]byte
}

func (q *queue) add(data []byte) {
	q.lock.Lock()
	q.items = append(q.items, data)
	q.lock.Unlock()
	q.filled.Signal()
}

// drain writes what is added to the queue, until an empty item closes the file.
func (q *queue) drain(to *os.File) {
	defer to.Close()
	for {
		q.lock.Lock()
		for len(q.items) == 0 {
			q.filled.Wait()
		}
		data := q.items[0]
		q.items = q.items[1:]
		q.lock.Unlock()
		if len(data) == 0 {
			return
		}
		if _, err := to.Write(data); err != nil {
			return
		}
	}
}

var (
	input    = os.Stdin
	out      = bufio.NewWriterSize(os.Stdout, 1<<16)
	outLock  sync.Mutex
	lock     sync.Mutex // guards commands, and forking against reaping
	commands = map[int]*command{}

	// credential is who commands run as; nil: as we do.
	credential *syscall.Credential
	// ended is called when whoever owned us is gone.
	ended = func() { os.Exit(0) }
)

func send(kind byte, id uint32, payload []byte) {
	outLock.Lock()
	defer outLock.Unlock()
	var header [9]byte
	binary.BigEndian.PutUint32(header[:], uint32(len(payload)+5))
	header[4] = kind
	binary.BigEndian.PutUint32(header[5:], id)
	out.Write(header[:])
	out.Write(payload)
	if out.Flush() != nil {
		ended()
	}
}

func sendJSON(kind byte, id uint32, value any) {
	data, _ := json.Marshal(value)
	send(kind, id, data)
}

func errno(err error) int {
	var number syscall.Errno
	if errors.As(err, &number) {
		return int(number)
	}
	if err != nil {
		return int(syscall.EIO)
	}
	return 0
}

// find looks a program up as execvp does.
func find(name string, env []string) string {
	if strings.Contains(name, "/") {
		return name
	}
	path := "/usr/bin:/bin"
	for _, item := range env {
		if value, ok := strings.CutPrefix(item, "PATH="); ok {
			path = value
		}
	}
	for _, directory := range strings.Split(path, ":") {
		candidate := directory + "/" + name
		if info, err := os.Stat(candidate); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return candidate
		}
	}
	return name
}

// emulated is how to start a program under the emulator by hand: scripts through their interpreter.
func emulated(prefix, argv []string, program string) ([]string, error) {
	for range 4 {
		file, err := openRegular(program, os.O_RDONLY, 0)
		if err != nil {
			return nil, err
		}
		head := make([]byte, 256)
		n, _ := io.ReadFull(file, head)
		info, _ := file.Stat()
		file.Close()
		if info.Mode()&0o111 == 0 {
			return nil, syscall.EACCES
		}
		head = head[:n]
		if !bytes.HasPrefix(head, []byte("#!")) {
			break
		}
		line, _, _ := bytes.Cut(head[2:], []byte("\n"))
		words := strings.SplitN(strings.TrimSpace(string(line)), " ", 2)
		rest := append([]string{program}, argv[1:]...)
		if len(words) == 2 {
			rest = append([]string{strings.TrimSpace(words[1])}, rest...)
		}
		program = words[0]
		argv = append([]string{program}, rest...)
	}
	full := append([]string{}, prefix...)
	return append(append(full, "-0", argv[0], program), argv[1:]...), nil
}

func spawn(id uint32, payload []byte) {
	var request spawnRequest
	if err := json.Unmarshal(payload, &request); err != nil || len(request.Argv) == 0 {
		sendJSON(outExit, id, map[string]any{"broken": "a spawn request that cannot be read"})
		return
	}
	if writableOnly && credential == nil {
		sendJSON(outExit, id, map[string]any{"broken": "the machine is not configured"})
		return
	}
	if writableOnly {
		makeDirectories(request.Cwd)
	} else {
		asTarget(func() error { return makeDirectories(request.Cwd) })
	}
	argv, program := request.Argv, find(request.Argv[0], request.Env)
	name := filepath.Base(argv[0])
	if request.Pinned && execs != nil {
		kind := plain
		if request.Trace {
			kind = logging
		}
		full, emulator, err := execs.first(argv, program, request.Cwd, kind)
		if err != nil {
			sendJSON(outExit, id, map[string]any{"exec_errno": errno(err)})
			return
		}
		argv, program = full, emulator
	} else if len(request.Prefix) > 0 {
		var full []string
		err := asTarget(func() (err error) {
			full, err = emulated(request.Prefix, argv, program)
			return err
		})
		if err != nil {
			sendJSON(outExit, id, map[string]any{"exec_errno": errno(err)})
			return
		}
		argv, program = full, full[0]
	}
	inR, inW, err1 := os.Pipe()
	outR, outW, err2 := os.Pipe()
	errR, errW, err3 := os.Pipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		sendJSON(outExit, id, map[string]any{"broken": err.Error()})
		return
	}
	c := &command{id: id, started: time.Now()}
	c.input.filled.L = &c.input.lock
	attributes := &syscall.ProcAttr{
		Dir: request.Cwd, Env: request.Env, Files: []uintptr{inR.Fd(), outW.Fd(), errW.Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true, Credential: credential},
	}
	start := forkExec
	goOn := func() error { return nil }
	if request.Trace && !request.Pinned {
		start = c.forkExecTraced
	} else if request.Pinned && execs != nil {
		if request.Trace {
			c.log = newLog(id, execs.log)
		}
		start = func(program string, argv []string, attributes *syscall.ProcAttr) (pid int, err error) {
			pid, goOn, err = execs.start(program, argv, attributes, name, c.log)
			return pid, err
		}
	}
	lock.Lock()
	pid, err := start(program, argv, attributes)
	if err == nil {
		c.pid = pid
		commands[pid] = c
		c.readers.Add(2)
	}
	lock.Unlock()
	inR.Close()
	outW.Close()
	errW.Close()
	if err != nil {
		inW.Close()
		outR.Close()
		errR.Close()
		if c.log != 0 {
			closeLog(c.log)
		}
		sendJSON(outExit, id, map[string]any{"exec_errno": errno(err)})
		return
	}
	if err := goOn(); err != nil {
		c.untraced.Store(true)
	}
	go c.input.drain(inW)
	go copyOut(c, outR, outStdout)
	go copyOut(c, errR, outStderr)
}

func forkExec(program string, argv []string, attributes *syscall.ProcAttr) (int, error) {
	return syscall.ForkExec(program, argv, attributes)
}

// makeDirectories makes a directory and its parents, for whom commands run as.
func makeDirectories(path string) error {
	missing := []string{}
	for at := path; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == "/" || at == "." {
			break
		}
		missing = append(missing, at)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	for _, made := range missing {
		own(made)
	}
	return nil
}

func own(path string) error {
	if credential == nil {
		return nil
	}
	return os.Lchown(path, int(credential.Uid), int(credential.Gid))
}

func copyOut(c *command, from *os.File, kind byte) {
	defer c.readers.Done()
	defer from.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			send(kind, c.id, buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// others lists the processes that belong to no running command: what an ended one left behind. Orphans come to the first
// process, which we are.
func others() []int {
	var found []int
	for _, pid := range adopted() {
		if commands[pid] != nil {
			continue
		}
		data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue
		}
		_, rest, _ := bytes.Cut(data[bytes.LastIndexByte(data, ')'):], []byte(" "))
		fields := strings.Fields(string(rest)) // state, parent, group, session
		if len(fields) < 4 || fields[0] == "Z" {
			continue
		}
		if session, _ := strconv.Atoi(fields[3]); commands[session] == nil {
			found = append(found, pid)
		}
	}
	return found
}

// adopted lists our children: by proc(5)'s list for each of our threads, where the kernel keeps one, else by every
// process's parent.
func adopted() []int {
	var found []int
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, word := range strings.Fields(string(text)) {
			pid, _ := strconv.Atoi(word)
			found = append(found, pid)
		}
	}
	if len(lists) > 0 {
		return found
	}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == 1 {
			continue
		}
		data, _ := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if strings.HasPrefix(string(data[bytes.LastIndexByte(data, ')')+1:]), " Z") {
			continue
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) > 1 && fields[1] == "1" {
			found = append(found, pid)
		}
	}
	return found
}

func reap() {
	for {
		var status syscall.WaitStatus
		var usage syscall.Rusage
		doJobs()
		lock.Lock()
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG|wall, &usage)
		if err != nil || pid <= 0 {
			lock.Unlock()
			return
		}
		if execs.stopped(pid, status) {
			lock.Unlock()
			continue
		}
		execs.ended(pid)
		c := commands[pid]
		if c == nil || status.Stopped() {
			lock.Unlock()
			continue
		}
		wall := time.Since(c.started)
		delete(commands, pid)
		left := map[int]bool{}
		for range 20 {
			found := others()
			if len(found) == 0 {
				break
			}
			for _, other := range found {
				left[other] = true
				syscall.Kill(other, syscall.SIGKILL)
			}
			time.Sleep(time.Millisecond)
		}
		lock.Unlock()
		go func() {
			c.readers.Wait()
			c.input.add(nil)
			cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
			var lost any
			var opened uint64
			if c.log != 0 {
				onTracer(func() error {
					lost, opened = closeLog(c.log)
					return nil
				})
			}
			if why := c.broken(); why != nil {
				sendJSON(outExit, c.id, map[string]any{"broken": why})
				return
			}
			answer := map[string]any{
				"status": int(status), "wall_ns": wall.Nanoseconds(), "left": len(left),
				"cpu_ms": float64(cpu.Microseconds()) / 1000,
			}
			if c.log != 0 {
				answer["untraced"], answer["emulators"] = lost, opened
			}
			sendJSON(outExit, c.id, answer)
		}()
	}
}

func byID(id uint32) *command {
	lock.Lock()
	defer lock.Unlock()
	for _, c := range commands {
		if c.id == id {
			return c
		}
	}
	return nil
}

func feed(id uint32, data []byte) {
	if c := byID(id); c != nil {
		c.input.add(data)
	}
}

func put(id uint32, payload []byte) {
	line, content, _ := bytes.Cut(payload, []byte("\n"))
	var request struct {
		Path string `json:"path"`
		Mode uint32 `json:"mode"`
	}
	err := json.Unmarshal(line, &request)
	switch {
	case err != nil:
	case mayPut(request.Path):
		err = asTarget(func() error { return write(request.Path, content, fs.FileMode(request.Mode)) })
	case ofSystem(request.Path):
		err = disguise(request.Path, content, fs.FileMode(request.Mode))
	default:
		err = syscall.EROFS
	}
	sendJSON(outDone, id, map[string]int{"errno": errno(err)})
}

func write(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := openRegular(path, os.O_WRONLY|os.O_CREATE, mode)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(0); err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		return err
	}
	return file.Chmod(mode)
}

// openRegular opens a file, and nothing that would wait for another side.
func openRegular(path string, flags int, mode fs.FileMode) (*os.File, error) {
	fd, err := syscall.Open(path, flags|syscall.O_NONBLOCK|syscall.O_NOCTTY|syscall.O_CLOEXEC, uint32(mode))
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path)
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, errors.Join(err, syscall.EINVAL)
	}
	return file, nil
}

// asTarget works on files with the rights of whom commands run as: no link of theirs leads to what is ours alone.
func asTarget(work func() error) error {
	if credential == nil {
		return work()
	}
	done := make(chan error)
	go func() {
		// These are ids of a thread. It is not unlocked, and so ends with this function.
		runtime.LockOSThread()
		syscall.RawSyscall(syscall.SYS_SETFSGID, uintptr(credential.Gid), 0, 0)
		syscall.RawSyscall(syscall.SYS_SETFSUID, uintptr(credential.Uid), 0, 0)
		done <- work()
	}()
	return <-done
}

const mostRead = 1 << 30 // bytes of the largest file that is sent

func get(id uint32, payload []byte) {
	var content []byte
	err := asTarget(func() error {
		file, err := openRegular(string(payload), os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		content, err = io.ReadAll(io.LimitReader(file, mostRead+1))
		if len(content) > mostRead {
			err = syscall.EFBIG
		}
		return err
	})
	if err == nil {
		send(outData, id, content)
	}
	sendJSON(outDone, id, map[string]int{"errno": errno(err)})
}

// writable are the places outside of /xc that a command can write to.
var writable = []string{"/tmp", "/dev/shm", "/dev/mqueue", "/run", "/var/tmp"}

// writableOnly keeps what the host puts to where commands can write.
var writableOnly bool

func mayPut(path string) bool {
	clean := filepath.Clean(path)
	for _, root := range append([]string{"/xc"}, writable...) {
		if strings.HasPrefix(clean, root+"/") {
			return true
		}
	}
	return !writableOnly
}

func list(id uint32) {
	found := []string{}
	for _, root := range writable {
		filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && path != root && len(found) < 1000 {
				found = append(found, path)
			}
			return nil
		})
	}
	for kind := range removals {
		for _, each := range segments(kind) {
			found = append(found, fmt.Sprintf("/proc/sysvipc/%s#0x%08x", kind, uint32(each.key)))
		}
	}
	sort.Strings(found)
	sendJSON(outDone, id, map[string]any{"paths": found})
}

// removals are the calls that remove what System V's interprocess communication leaves (shmctl(2), semctl(2), msgctl(2)).
var removals = map[string]func(id int){
	"shm": func(id int) { syscall.Syscall(syscall.SYS_SHMCTL, uintptr(id), 0, 0) },
	"sem": func(id int) { syscall.Syscall6(syscall.SYS_SEMCTL, uintptr(id), 0, 0, 0, 0, 0) },
	"msg": func(id int) { syscall.Syscall(syscall.SYS_MSGCTL, uintptr(id), 0, 0) },
}

type segment struct{ key, id int }

// segments lists what there is of a kind (proc(5), /proc/sysvipc: a line of titles, then key and id first).
func segments(kind string) []segment {
	text, _ := os.ReadFile("/proc/sysvipc/" + kind)
	found := []segment{}
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		key, err1 := strconv.Atoi(fields[0])
		id, err2 := strconv.Atoi(fields[1])
		if err1 == nil && err2 == nil {
			found = append(found, segment{key, id})
		}
	}
	return found
}

func reset(id uint32) {
	lock.Lock()
	for pid := range commands {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	lock.Unlock()
	empty := func() error {
		for _, root := range append([]string{"/xc"}, writable...) {
			entries, _ := os.ReadDir(root)
			for _, entry := range entries {
				removeAll(root + "/" + entry.Name())
			}
		}
		return nil
	}
	if writableOnly {
		empty()
	} else { // here we have the rights of no other user
		asTarget(empty)
	}
	for kind, remove := range removals {
		for _, each := range segments(kind) {
			remove(each.id)
		}
	}
	undisguise()
	sendJSON(outDone, id, map[string]any{})
}

// removeAll removes what a command has left, directories without rights for their owner too.
func removeAll(path string) {
	if os.RemoveAll(path) == nil {
		return
	}
	filepath.WalkDir(path, func(inside string, entry fs.DirEntry, _ error) error {
		if entry != nil && entry.IsDir() {
			os.Chmod(inside, 0o700) // before it is read
		}
		return nil
	})
	os.RemoveAll(path)
}

func main() {
	if len(os.Args) > 3 && os.Args[1] == execWord {
		becomeCommand(os.Args[2], os.Args[3], os.Args[4:])
	}
	// What runs as the same user, or as one that is mapped to ours, must not reach our descriptors (prctl(2), proc(5)).
	const setDumpable = 4
	syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0)
	if len(os.Args) > 4 && os.Args[1] == traceWord {
		trace(os.Args[2], os.Args[3], os.Args[4:])
	}
	children := make(chan os.Signal, 64)
	signal.Notify(children, syscall.SIGCHLD)
	// Taken and dropped, not ignored: what a process ignores its commands ignore too (execve(2)).
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		runtime.LockOSThread()
		tick := time.NewTicker(time.Second) // signals coalesce
		for {
			select {
			case <-children:
			case <-tick.C:
			case job := <-jobs:
				job()
			}
			reap()
		}
	}()
	// clone3 (435 everywhere) with no arguments: EINVAL from a kernel that has it, ENOSYS from one that has not, and
	// EPERM from the seccomp profile of an old Docker, with which threads fail (moby/moby#42680).
	_, _, clone3 := syscall.RawSyscall(435, 0, 0, 0)
	if len(os.Args) == 3 && os.Args[1] == userWord {
		id, err := strconv.ParseUint(os.Args[2], 10, 32)
		if err != nil || id == 0 {
			os.Exit(2)
		}
		credential = &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}
	}
	hello := map[string]any{"pid": os.Getpid(), "clone3": int(clone3)}
	if os.Getpid() == 1 && os.Args[0] == "/init" {
		beSystem(hello)
	}
	sendJSON(outDone, 0, hello)
	in := bufio.NewReaderSize(input, 1<<16)
	var header [9]byte
	for {
		if _, err := io.ReadFull(in, header[:]); err != nil {
			ended()
		}
		payload := make([]byte, binary.BigEndian.Uint32(header[:])-5)
		if _, err := io.ReadFull(in, payload); err != nil {
			ended()
		}
		id := binary.BigEndian.Uint32(header[5:])
		switch header[4] {
		case inSpawn:
			spawn(id, payload)
		case inStdin:
			feed(id, payload)
		case inKill:
			if c := byID(id); c != nil {
				syscall.Kill(-c.pid, syscall.SIGKILL)
				syscall.Kill(c.pid, syscall.SIGKILL)
			}
		case inPut:
			put(id, payload)
		case inGet:
			get(id, payload)
		case inList:
			list(id)
		case inReset:
			reset(id)
		case inConfigure:
			configure(id, payload)
		case inPin:
			pin(id, payload)
		}
	}
}
