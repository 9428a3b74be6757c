package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// systemConfig is what the host tells a virtual machine, whether it has just booted or comes out of a snapshot: all that
// makes it this run's machine.
type systemConfig struct {
	UID       uint32            `json:"uid"`       // who commands run as
	Absent    []uint32          `json:"absent"`    // system calls that answer ENOSYS
	AuditArch uint32            `json:"auditArch"` // AUDIT_ARCH_*, linux/audit.h
	Loopback  bool              `json:"loopback"`
	Now       int64             `json:"now"`   // nanoseconds since 1970
	Seed      []byte            `json:"seed"`  // for the kernel's random numbers
	Files     map[string]string `json:"files"` // what tells what system this is
	Disk      bool              `json:"disk"`  // whether there is one
}

const portName = "xc"

// beSystem makes a system of a kernel that has just booted, and takes the serial port for the way to the host.
func beSystem(hello map[string]any) {
	ended = func() {
		syscall.Sync()
		syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
		select {}
	}
	for _, m := range []struct{ what, where, kind, options string }{
		{"proc", "/proc", "proc", ""},
		{"sysfs", "/sys", "sysfs", ""},
		{"devtmpfs", "/dev", "devtmpfs", "mode=0755"},
		{"devpts", "/dev/pts", "devpts", "ptmxmode=0666,mode=0620"},
		{"tmpfs", "/dev/shm", "tmpfs", "mode=1777,size=256m"},
		{"mqueue", "/dev/mqueue", "mqueue", ""},
		{"tmpfs", "/tmp", "tmpfs", "mode=1777,size=512m"},
		{"tmpfs", "/run", "tmpfs", "mode=0755,uid=1000,gid=1000,size=64m"},
		{"tmpfs", "/xc", "tmpfs", "mode=0755,uid=1000,gid=1000,size=512m"},
	} {
		os.MkdirAll(m.where, 0o755)
		if err := syscall.Mount(m.what, m.where, m.kind, syscall.MS_NOSUID, m.options); err != nil {
			say("mount %s: %v", m.where, err)
		}
	}
	for link, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		os.Symlink(target, "/dev/"+link)
	}
	os.Chmod("/dev/ptmx", 0o666)
	os.Chmod("/", 0o755) // the first file system is anyone's (fs/ramfs, fs/shmem: 1777)
	syscall.Sethostname([]byte("xc"))
	// No program of the root filesystem makes its user another: the file system says so (mount(2)), and the attribute of the
	// threads (prctl(2)) where it cannot; programs may ask for the attribute, and a kernel has not set it.
	if err := syscall.Mount("", "/", "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_NOSUID, ""); err != nil {
		const setNoNewPrivileges = 38
		if _, _, errno := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, setNoNewPrivileges, 1, 0, 0, 0, 0); errno != 0 {
			say("nosuid: %v, no_new_privs: %v", err, errno)
			ended()
		}
	}
	// Where the kernel has such a security module, its files are where its programs look for them.
	if _, err := os.Stat("/sys/kernel/security"); err == nil {
		if err := syscall.Mount("securityfs", "/sys/kernel/security", "securityfs", syscall.MS_NOSUID, ""); err != nil {
			say("securityfs: %v", err)
		}
	}
	writableOnly = true
	for _, limit := range []struct {
		which      int
		soft, hard uint64
	}{
		{syscall.RLIMIT_CORE, 0, 0},
		{6 /* RLIMIT_NPROC, asm-generic/resource.h */, 1024, 1024},
		{syscall.RLIMIT_NOFILE, 1024, 4096},
		{syscall.RLIMIT_FSIZE, 512 << 20, 512 << 20},
	} {
		if err := syscall.Setrlimit(limit.which, &syscall.Rlimit{Cur: limit.soft, Max: limit.hard}); err != nil {
			say("setrlimit %d: %v", limit.which, err)
		}
	}
	modules, _ := filepath.Glob("/.xc/modules/*.ko") // in the order of their names
	for _, module := range modules {
		if err := load(module); err != nil {
			say("module %s: %v", filepath.Base(module), err)
		}
	}
	port, err := openPort()
	if err != nil {
		say("no way to the host: %v", err)
		ended()
	}
	input, out = port, bufio.NewWriterSize(port, 1<<16)
}

// configure makes this run's machine of one that is as it was after its boot. Nothing has run here before.
func configure(id uint32, payload []byte) {
	var config systemConfig
	err := json.Unmarshal(payload, &config)
	if err == nil && (credential != nil || config.UID == 0) {
		err = errors.New("configured already, or for root")
	}
	if err != nil {
		say("the configuration cannot be used: %v", err)
		ended()
	}
	told := map[string]any{"pid": os.Getpid(), "page_size": os.Getpagesize(), "loopback": config.Loopback, "floor": "none"}
	told["entropy"] = said(reseed(config.Seed))
	told["timers"] = said(revive())
	now := syscall.NsecToTimeval(config.Now)
	told["clock"] = said(syscall.Settimeofday(&now))
	for path, text := range config.Files {
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = replace(path, []byte(text), 0o644)
		}
		if err != nil {
			say("%s: %v", path, err)
			ended()
		}
	}
	if config.Loopback {
		if err := loopbackUp(); err != nil {
			say("loopback: %v", err)
		}
	}
	if config.Disk {
		told["disk"] = said(ownDisk(config.UID))
	}
	if len(config.Absent) > 0 {
		told["floor"] = said(lacking(config.Absent, config.AuditArch))
	}
	credential = &syscall.Credential{Uid: config.UID, Gid: config.UID}
	sendJSON(outDone, id, told)
}

// said is "whole", or why it is not.
func said(err error) string {
	if err != nil {
		return err.Error()
	}
	return "whole"
}

// reseed gives the kernel random numbers of the host's, and has it make new keys of them at once (random(4)): two machines
// out of one snapshot would give the same numbers.
func reseed(seed []byte) error {
	const addEntropy, reseedNow = 0x40085203, 0x5207 // RNDADDENTROPY, RNDRESEEDCRNG, linux/random.h
	if len(seed) == 0 {
		return errors.New("no seed")
	}
	file, err := os.OpenFile("/dev/urandom", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	info := make([]byte, 8, 8+len(seed)) // struct rand_pool_info: bits of entropy, bytes
	binary.NativeEndian.PutUint32(info, uint32(8*len(seed)))
	binary.NativeEndian.PutUint32(info[4:], uint32(len(seed)))
	info = append(info, seed...)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), addEntropy, uintptr(unsafe.Pointer(&info[0]))); errno != 0 {
		return errno
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), reseedNow, 0); errno != 0 && errno != syscall.EINVAL {
		return errno // EINVAL: a kernel before 4.14, which takes what is added at once
	}
	return nil
}

// revive has every processor program its timer again. One that comes out of a snapshot may have lost it: qemu's LoongArch saves
// the registers of the timer, and not that it runs, and a kernel that waits for it sets no other. A jump of the clock that
// makes a timer of the wall clock due has a processor look at its timers (clock_was_set, kernel/time/hrtimer.c); the clock is
// set to the right time after this. Whoever calls waits for ever if it does not help.
func revive() error {
	const (
		absolute, closeOnExec = 1, 0x80000 // TFD_TIMER_ABSTIME, TFD_CLOEXEC
		later, jump           = 10, 3600   // seconds
	)
	processors := runtime.NumCPU()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and so the thread ends with this function
		stay := func(cpu int) error {
			var mask [16]uint64
			mask[cpu/64] = 1 << (cpu % 64)
			_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
			if errno != 0 {
				return errno
			}
			return nil
		}
		now := time.Now().Unix()
		for cpu := range processors {
			if err := stay(cpu); err != nil {
				done <- err
				return
			}
			fd, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, 0 /* CLOCK_REALTIME */, closeOnExec, 0)
			if errno != 0 {
				done <- errno
				return
			}
			defer syscall.Close(int(fd))
			due := [4]int64{0, 0, now + later, 0} // struct itimerspec: no interval, then the moment
			_, _, errno = syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, fd, absolute, uintptr(unsafe.Pointer(&due)), 0, 0, 0)
			if errno != 0 {
				done <- errno
				return
			}
		}
		// From each of them: who sets the clock has the others look, and not itself (smp_call_function_many).
		for cpu := range processors {
			at := syscall.Timeval{Sec: now + jump*int64(1+cpu)}
			if err := errors.Join(stay(cpu), syscall.Settimeofday(&at)); err != nil {
				done <- err
				return
			}
		}
		for cpu := range processors {
			pause := syscall.Timespec{Nsec: 1_000_000}
			if err := errors.Join(stay(cpu), syscall.Nanosleep(&pause, nil)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	return <-done
}

const diskPlace = "/dev/nvme0n1"

// ownDisk gives the disk to who commands run as.
func ownDisk(uid uint32) error {
	for range 250 {
		if _, err := os.Stat(diskPlace); err == nil {
			return os.Chown(diskPlace, int(uid), int(uid))
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New(diskPlace + " does not come")
}

// say writes a line to the console, which the host keeps as a log.
func say(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "xc agent: "+format+"\n", values...)
}

// load puts a module into the kernel (finit_module(2) with no parameters).
func load(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	parameters := []byte{0}
	_, _, errno := syscall.Syscall(sysFinitModule, file.Fd(), uintptr(unsafe.Pointer(&parameters[0])), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func openPort() (*os.File, error) {
	for range 100 { // the bus may still be looked through
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, name := range names {
			text, _ := os.ReadFile(name)
			if strings.TrimSpace(string(text)) == portName {
				// Blocking: the runtime's poller would miss what a port that is not yet connected says.
				fd, err := syscall.Open("/dev/"+filepath.Base(filepath.Dir(name)), syscall.O_RDWR|syscall.O_CLOEXEC, 0)
				if err != nil {
					return nil, err
				}
				return os.NewFile(uintptr(fd), "port"), nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, errors.New("there is no virtio port called " + portName)
}

// loopbackUp sets IFF_UP on lo (netdevice(7): SIOCSIFFLAGS with a struct ifreq of 40 bytes).
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request [40]byte
	copy(request[:], "lo")
	*(*uint16)(unsafe.Pointer(&request[16])) = syscall.IFF_UP | syscall.IFF_RUNNING
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return nil
}

// lacking makes these system calls answer ENOSYS, in this process and all that come of it: a filter of classic BPF
// (seccomp(2)), installed on every thread (SECCOMP_FILTER_FLAG_TSYNC).
func lacking(numbers []uint32, arch uint32) error {
	const (
		load, equal, ret   = 0x20, 0x15, 0x06 // BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
		allow, enosys      = 0x7fff0000, 0x00050000 | 38
		setModeFilter      = 1
		tsync              = 1
		number, archOffset = 0, 4 // struct seccomp_data, linux/seccomp.h
	)
	type instruction struct {
		code   uint16
		jt, jf uint8
		k      uint32
	}
	filter := []instruction{{load, 0, 0, archOffset}, {equal, 1, 0, arch}, {ret, 0, 0, allow}, {load, 0, 0, number}}
	for _, n := range numbers {
		filter = append(filter, instruction{equal, 0, 1, n}, instruction{ret, 0, 0, enosys})
	}
	filter = append(filter, instruction{ret, 0, 0, allow})
	program := struct {
		length uint16
		filter *instruction
	}{uint16(len(filter)), &filter[0]}
	_, _, errno := syscall.RawSyscall(sysSeccomp, setModeFilter, tsync, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return errno
	}
	return nil
}
