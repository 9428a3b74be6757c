package main

import (
	"bufio"
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

// systemConfig is what the host leaves in /.xc/config.json of a virtual machine.
type systemConfig struct {
	UID       uint32   `json:"uid"`       // who commands run as
	Absent    []uint32 `json:"absent"`    // system calls that answer ENOSYS
	AuditArch uint32   `json:"auditArch"` // AUDIT_ARCH_*, linux/audit.h
	Loopback  bool     `json:"loopback"`
}

const portName = "xc"

// beSystem makes a system of a kernel that has just booted, and takes the serial port for the way to the host.
func beSystem(hello map[string]any) {
	ended = func() {
		syscall.Sync()
		syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
		select {}
	}
	var config systemConfig
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
	data, err := os.ReadFile("/.xc/config.json")
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil {
		say("the configuration cannot be read: %v", err)
		ended()
	}
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
	credential = &syscall.Credential{Uid: config.UID, Gid: config.UID}
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
	if config.Loopback {
		if err := loopbackUp(); err != nil {
			say("loopback: %v", err)
		}
	}
	hello["loopback"] = config.Loopback
	hello["page_size"] = os.Getpagesize()
	hello["floor"] = "none"
	if len(config.Absent) > 0 {
		hello["floor"] = "whole"
		if err := lacking(config.Absent, config.AuditArch); err != nil {
			hello["floor"] = err.Error()
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
