package main

import (
	"bufio"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// module is a Go module as far as its packages' places matter.
type module struct {
	Path     string
	Version  string
	Dir      string // "" when it is not on this machine
	Go       string // the go directive, "" when there is none
	Requires map[string]string
	replaces map[string]replacement // by path, or path@version
	main     bool
	local    bool // its files are not those of a published version: replaced by a directory, or vendored
}

type replacement struct{ path, version string }

// readGoMod reads what the resolver needs of a go.mod: go, module, require, replace. With errUnnamed there is the rest of it.
func readGoMod(file string) (*module, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := &module{Requires: map[string]string{}, replaces: map[string]replacement{}}
	block := ""
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<20)
	for number := 1; scan.Scan(); number++ {
		line, _, _ := strings.Cut(scan.Text(), "//")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if block == "" {
			if len(words) == 2 && words[1] == "(" {
				block = words[0]
				continue
			}
			block, words = words[0], words[1:]
			m.directive(block, words)
			block = ""
			continue
		}
		if words[0] == ")" {
			block = ""
			continue
		}
		m.directive(block, words)
	}
	if err := scan.Err(); err != nil {
		return nil, err
	}
	if m.Path == "" {
		return m, errUnnamed
	}
	return m, nil
}

func (m *module) directive(name string, words []string) {
	for i, word := range words {
		if text, err := strconv.Unquote(word); err == nil {
			words[i] = text
		}
	}
	switch name {
	case "module":
		if len(words) > 0 {
			m.Path = words[0]
		}
	case "go":
		if len(words) > 0 {
			m.Go = words[0]
		}
	case "require":
		if len(words) >= 2 {
			m.Requires[words[0]] = words[1]
		}
	case "replace":
		for i, word := range words {
			if word == "=>" && i+1 < len(words) {
				from := strings.Join(words[:i], "@")
				to := replacement{path: words[i+1]}
				if i+2 < len(words) {
					to.version = words[i+2]
				}
				m.replaces[from] = to
			}
		}
	}
}

// resolver finds the directory of an import path.
type resolver struct {
	goroot   string
	modcache string
	vendor   string             // the vendor directory, "" when there is none
	mains    []*module          // the module, or those of go.work
	beside   map[string]*module // what stands in a workspace with them
	build    map[string]*module // the build list: by module path
	paths    []string           // of build, the longest first
}

// escape writes a module path or version as the module cache does: capitals as ! and the small letter.
func escape(text string) string {
	if strings.ToLower(text) == text {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('!')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// placeholder is the version that a module is required at which stands beside and was never published.
const placeholder = "v0.0.0"

func newResolver(goroot, modcache string, mains []*module, beside map[string]*module) *resolver {
	r := &resolver{goroot: goroot, modcache: modcache, mains: mains, beside: beside, build: map[string]*module{}}
	if len(mains) == 1 {
		if _, err := os.Stat(filepath.Join(mains[0].Dir, "vendor", "modules.txt")); err == nil {
			r.vendor = filepath.Join(mains[0].Dir, "vendor")
		}
	}
	// Minimal version selection over the go.mod files that are here. Since Go 1.17 the main module lists all that it needs.
	queue := append([]*module(nil), mains...)
	for len(queue) > 0 {
		m := queue[0]
		queue = queue[1:]
		for path, version := range m.Requires {
			known := r.build[path]
			if known != nil && (known.main || !newer(version, known.Version)) {
				continue
			}
			found := r.fetch(path, version, mains)
			r.build[path] = found
			if !pruned(mains) {
				queue = append(queue, found)
			}
		}
	}
	for _, m := range mains {
		m.main = true
		r.build[m.Path] = m
	}
	for path := range r.build {
		r.paths = append(r.paths, path)
	}
	sort.Slice(r.paths, func(i, j int) bool {
		return len(r.paths[i]) > len(r.paths[j]) || len(r.paths[i]) == len(r.paths[j]) && r.paths[i] < r.paths[j]
	})
	return r
}

func pruned(mains []*module) bool {
	for _, m := range mains {
		if m.Go == "" || goBefore(m.Go, 17) {
			return false
		}
	}
	return true
}

func goBefore(version string, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	got, err := strconv.Atoi(strings.TrimRight(parts[1], "abcdefghijklmnopqrstuvwxyz"))
	return parts[0] == "1" && err == nil && got < minor
}

// fetch describes a required module after replacement; nothing is downloaded here.
func (r *resolver) fetch(path, version string, mains []*module) *module {
	m := &module{Path: path, Version: version, Requires: map[string]string{}}
	real, realVersion := path, version
	for _, main := range mains {
		to, ok := main.replaces[path+"@"+version]
		if !ok {
			to, ok = main.replaces[path]
		}
		if !ok {
			continue
		}
		if to.version == "" {
			m.Dir, m.local = to.path, true
			if !filepath.IsAbs(m.Dir) {
				m.Dir = filepath.Join(main.Dir, to.path)
			}
			if read, err := readGoMod(filepath.Join(m.Dir, "go.mod")); err == nil {
				m.Go, m.Requires = read.Go, read.Requires
			}
			return m
		}
		real, realVersion = to.path, to.version
	}
	if near := r.beside[path]; near != nil && (version == placeholder || strings.HasPrefix(version, placeholder+"-00010101000000-")) {
		m.Dir, m.local, m.Go, m.Requires = near.Dir, true, near.Go, near.Requires
		return m
	}
	dir := filepath.Join(r.modcache, filepath.FromSlash(escape(real))+"@"+escape(realVersion))
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		m.Dir = dir
	}
	file := filepath.Join(r.modcache, "cache", "download", filepath.FromSlash(escape(real)), "@v", escape(realVersion)+".mod")
	if read, err := readGoMod(file); err == nil {
		m.Go, m.Requires = read.Go, read.Requires
	}
	return m
}

// newer compares two semantic versions as minimal version selection does (https://semver.org, clause 11).
func newer(a, b string) bool { return compareVersions(a, b) > 0 }

func compareVersions(a, b string) int {
	a, _, _ = strings.Cut(strings.TrimPrefix(a, "v"), "+")
	b, _, _ = strings.Cut(strings.TrimPrefix(b, "v"), "+")
	coreA, preA, _ := strings.Cut(a, "-")
	coreB, preB, _ := strings.Cut(b, "-")
	if c := compareDotted(coreA, coreB); c != 0 {
		return c
	}
	switch {
	case preA == preB:
		return 0
	case preA == "":
		return 1
	case preB == "":
		return -1
	}
	return compareDotted(preA, preB)
}

func compareDotted(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < len(as) && i < len(bs); i++ {
		x, errX := strconv.ParseUint(as[i], 10, 64)
		y, errY := strconv.ParseUint(bs[i], 10, 64)
		switch {
		case errX == nil && errY == nil:
			if x != y {
				if x < y {
					return -1
				}
				return 1
			}
		case errX == nil:
			return -1
		case errY == nil:
			return 1
		default:
			if c := strings.Compare(as[i], bs[i]); c != 0 {
				return c
			}
		}
	}
	return len(as) - len(bs)
}

// place is where an import path leads.
type place struct {
	dir string
	mod *module // nil for the standard library
}

func isStd(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root) && path[len(root)] == '/'
}

func hasGo(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".go") && !strings.HasSuffix(entry.Name(), "_test.go") {
			return true
		}
	}
	return false
}

// find returns the place of an import path; the second result says why there is none.
func (r *resolver) find(path string, fromStd bool) (place, absence) {
	if fromStd && !isStd(path) {
		return place{dir: filepath.Join(r.goroot, "src", "vendor", filepath.FromSlash(path))}, absence{}
	}
	for _, m := range r.mains {
		if within(path, m.Path) {
			if dir := filepath.Join(m.Dir, filepath.FromSlash(strings.TrimPrefix(path, m.Path))); hasGo(dir) {
				return place{dir, m}, absence{}
			}
		}
	}
	if isStd(path) {
		if dir := filepath.Join(r.goroot, "src", filepath.FromSlash(path)); hasGo(dir) {
			return place{dir: dir}, absence{}
		}
	}
	if r.vendor != "" {
		if dir := filepath.Join(r.vendor, filepath.FromSlash(path)); hasGo(dir) {
			vendored := *r.owner(path)
			vendored.local = true
			return place{dir, &vendored}, absence{}
		}
	}
	var why absence
	for _, candidate := range r.paths {
		if !within(path, candidate) || r.build[candidate].main {
			continue
		}
		m := r.build[candidate]
		if m.Dir == "" {
			if why == (absence{}) {
				why = absence{code: "module-not-here", module: m.Path + "@" + m.Version}
			}
			continue
		}
		if dir := filepath.Join(m.Dir, filepath.FromSlash(strings.TrimPrefix(path, candidate))); hasGo(dir) {
			return place{dir, m}, absence{}
		}
	}
	if why == (absence{}) {
		why = absence{code: "module-not-required"}
	}
	return place{}, why
}

// owner is the module of the build list that a path belongs to.
func (r *resolver) owner(path string) *module {
	for _, candidate := range r.paths {
		if within(path, candidate) {
			return r.build[candidate]
		}
	}
	return &module{Path: path}
}
