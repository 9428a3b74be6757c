package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// disguises are the files of the system itself that the host has put since the last reset: how to take each away again, the
// last one first.
var disguises []func() error

// ofSystem tells whether a path is a file of the system that the host, and no command, may put: what tells what system and
// what processor this is, and what /etc configures.
func ofSystem(path string) bool {
	clean := filepath.Clean(path)
	return strings.HasPrefix(clean, "/etc/") || clean == "/usr/lib/os-release" || clean == "/proc/cpuinfo"
}

// disguise puts a file of the system until the next reset. Nothing on the way to it belongs to who commands run as.
func disguise(path string, content []byte, mode fs.FileMode) error {
	if strings.HasPrefix(filepath.Clean(path), "/proc/") {
		return cover(filepath.Clean(path), content)
	}
	// A link may lead out of the system, to where commands write.
	place, err := filepath.EvalSymlinks(filepath.Dir(filepath.Clean(path)))
	if err != nil {
		return err
	}
	place = filepath.Join(place, filepath.Base(path))
	if real, err := filepath.EvalSymlinks(place); err == nil {
		place = real
	}
	if !strings.HasPrefix(place, "/etc/") && !strings.HasPrefix(place, "/usr/") {
		return syscall.EROFS
	}
	info, err := os.Lstat(place)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	restore := func() error { return os.Remove(place) }
	if err == nil {
		if !info.Mode().IsRegular() {
			return syscall.EINVAL
		}
		before, err := os.ReadFile(place)
		if err != nil {
			return err
		}
		restore = func() error { return replace(place, before, info.Mode().Perm()) }
	}
	if err := replace(place, content, mode); err != nil {
		return err
	}
	disguises = append(disguises, restore)
	return nil
}

// replace puts a file in the place of another: who has the other open keeps it.
func replace(place string, content []byte, mode fs.FileMode) error {
	part := place + ".xc-part"
	if err := os.WriteFile(part, content, 0o600); err != nil {
		return err
	}
	if err := os.Chmod(part, mode); err != nil {
		return err
	}
	return os.Rename(part, place)
}

// cover lays a file over one of the kernel's own.
func cover(path string, content []byte) error {
	over := fmt.Sprintf("/.xc/over-%d", len(disguises))
	if err := replace(over, content, 0o444); err != nil {
		return err
	}
	if err := syscall.Mount(over, path, "", syscall.MS_BIND, ""); err != nil {
		return err
	}
	disguises = append(disguises, func() error { return errors.Join(syscall.Unmount(path, syscall.MNT_DETACH), os.Remove(over)) })
	return nil
}

// undisguise takes every such file away. What cannot be taken away ends the sandbox: it would show to the next command.
func undisguise() {
	for len(disguises) > 0 {
		last := len(disguises) - 1
		if err := disguises[last](); err != nil {
			say("a file of the system cannot be put back: %v", err)
			ended()
		}
		disguises = disguises[:last]
	}
}
