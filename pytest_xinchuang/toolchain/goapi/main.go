// Command goapi writes the exported API of a Go module as JSON lines (docs/api.md describes the records).
//
// It needs nothing but the standard library and the sources, and never runs the go command. What cannot be resolved becomes
// an opaque stub, and the symbols whose facts depend on it say so.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sort"
	"strconv"
	"strings"
)

type options struct {
	dir, below, goroot, modcache, version, known, path string
	clients                                            string
	targets                                            []target
	tags                                               []string
	cgo, lint, classes                                 bool
}

func main() {
	var o options
	var targets, tags, profile string
	flag.StringVar(&o.dir, "dir", ".", "the module's directory")
	flag.StringVar(&o.below, "below", "", "describe only what is below this directory of it")
	flag.StringVar(&o.goroot, "goroot", runtime.GOROOT(), "where the standard library's sources are")
	flag.StringVar(&o.modcache, "modcache", "", "the module cache")
	flag.StringVar(&o.version, "version", "", "the version to write down")
	flag.StringVar(&o.path, "path", "", "the module's path where there is no go.mod")
	flag.StringVar(&o.known, "known", "", "a file of lines PATH DIGEST: packages with this source digest are not described again")
	flag.StringVar(&targets, "targets", "linux/amd64", "GOOS/GOARCH, by commas")
	flag.StringVar(&tags, "tags", "", "build tags, by commas")
	flag.BoolVar(&o.cgo, "cgo", true, "read files that import C")
	flag.BoolVar(&o.lint, "lint", false, "look at bodies, too, and write findings instead of the API")
	flag.StringVar(&o.clients, "clients", "", "a file that asks for clients, or holds some: write what becomes of them instead of the API")
	flag.BoolVar(&o.classes, "classes", false, "tell which targets have the same files, instead of the API")
	flag.StringVar(&profile, "cpuprofile", "", "write a profile there")
	flag.Parse()
	for _, one := range strings.Split(targets, ",") {
		t, ok := parseTarget(one)
		if !ok {
			fail("no-target", "target", strconv.Quote(one))
		}
		o.targets = append(o.targets, t)
	}
	if tags != "" {
		o.tags = strings.Split(tags, ",")
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			fail("failed", "why", err.Error())
		}
		pprof.StartCPUProfile(f)
		defer pprof.StopCPUProfile()
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	if err := run(o, out); err != nil {
		fail("failed", "why", err.Error())
	}
	if err := out.Flush(); err != nil {
		fail("failed", "why", err.Error())
	}
}

// fail ends the program; standard error tells why, as a problem in JSON.
func fail(code string, parameters ...string) {
	data, _ := json.Marshal(tell("", 0, code, parameters...))
	fmt.Fprintf(os.Stderr, "%s\n", data)
	os.Exit(2)
}

func run(o options, out *bufio.Writer) error {
	mains, problems, err := findModules(o)
	if err != nil {
		return err
	}
	known, err := readKnown(o.known)
	if err != nil {
		return err
	}
	if o.classes {
		w := writer{out: out}
		tellClasses(mains, o.below, o.tags, o.cgo, &w)
		return w.err
	}
	r := newResolver(o.goroot, o.modcache, mains, workspace(o, mains))
	l := newLoader(r, o.targets, o.tags, o.cgo)
	l.bodies = o.lint
	mine := func(path string) bool {
		for _, m := range mains {
			if within(path, m.Path) {
				return true
			}
		}
		return false
	}
	if o.clients != "" {
		return tried(l, o.clients, mine, &writer{out: out})
	}
	var paths []string
	var nested []string
	for _, m := range mains {
		found, inner, bad := walk(m, o.below)
		paths, nested, problems = append(paths, found...), append(nested, inner...), append(problems, bad...)
	}
	w := writer{out: out}
	names := make([]string, len(o.targets))
	for i, t := range o.targets {
		names[i] = t.String()
	}
	requires := map[string]string{}
	for _, m := range mains {
		for path, version := range m.Requires {
			requires[path] = version
		}
	}
	w.line(map[string]any{
		"record": "snapshot", "schema": "xc-api/1", "language": "go", "name": mains[0].Path, "version": o.version,
		"minimum": mains[0].Go, "toolchain": runtime.Version(), "targets": names, "tags": o.tags, "cgo": o.cgo,
		"requires": requires, "nested": nested, "problems": problems,
	})
	units := make([]*unit, 0, len(paths))
	for _, path := range paths {
		if u, why := l.unit(path, false); why == (absence{}) {
			units = append(units, u)
			u.source = l.sourceDigest(u, map[*unit]bool{})
			if known[path] == u.source {
				u.asKnown = true
				u.unread() // it is read again if another one needs it
			}
		}
	}
	if o.lint {
		count := lint(l, units, &w)
		w.line(map[string]any{"record": "end", "packages": len(units), "symbols": count})
		return w.err
	}
	waiting := l.dependents(units)
	total := 0
	for _, u := range units {
		if u.asKnown {
			w.line(map[string]any{"record": "package", "path": u.path, "same": true, "source": u.source})
		} else {
			total += describe(l, u, mine, &w)
		}
		l.release(u, waiting)
	}
	w.line(map[string]any{"record": "end", "packages": len(paths), "symbols": total})
	return w.err
}

// describe writes the records of one package, once for each set of targets that see the same.
func describe(l *loader, u *unit, mine func(string) bool, w *writer) int {
	l.parse(u)
	directory := ""
	if relative, err := filepath.Rel(u.place.mod.Dir, u.place.dir); err == nil {
		directory = filepath.ToSlash(relative)
	}
	type seen struct {
		targets []string
		symbols []symbol
		exposes []string
		stubs   map[string]string
		hash    string
		unknown int // symbols with a fact that is not known
	}
	var variants []*seen
	for t, name := range l.targets {
		any := false
		for _, s := range u.files {
			any = any || s.matches[t]
		}
		if !any {
			continue
		}
		if t > 0 && l.independent(u) && len(variants) > 0 {
			variants[0].targets = append(variants[0].targets, name.String())
			continue
		}
		pkg := l.check(u, t)
		if pkg == nil {
			continue
		}
		e := emitter{l: l, u: u, pkg: pkg, directory: directory, mine: mine}
		symbols := e.symbols()
		one := &seen{targets: []string{name.String()}, symbols: symbols, hash: hash(symbols), stubs: map[string]string{}}
		for _, s := range symbols {
			if s.unknown {
				one.unknown++
			}
		}
		for id := range e.exposes {
			one.exposes = append(one.exposes, id)
		}
		sort.Strings(one.exposes)
		for path := range e.stubs {
			one.stubs[path] = l.resolver.owner(path).Version
		}
		merged := false
		for _, other := range variants {
			if other.hash == one.hash {
				other.targets = append(other.targets, name.String())
				merged = true
			}
		}
		if !merged {
			variants = append(variants, one)
		}
	}
	total := 0
	for path, why := range u.missing {
		u.problems = append(u.problems, why.problem(u.place.dir, path))
	}
	sort.SliceStable(u.problems, func(i, j int) bool { return u.problems[i].Message < u.problems[j].Message })
	root := u.place.mod.Dir
	for i := range u.problems {
		if relative, err := filepath.Rel(root, u.problems[i].File); err == nil {
			u.problems[i].File = filepath.ToSlash(relative)
		}
	}
	if len(variants) == 0 && (len(u.problems) > 0 || len(u.files) > 0) {
		variants = append(variants, &seen{targets: []string{}, hash: hash(nil)})
	}
	for _, one := range variants {
		grade := "typed"
		if u.partial || len(u.missing) > 0 || u.incomplete() {
			grade = "stubbed"
		}
		record := map[string]any{
			"record": "package", "path": u.path, "name": u.name, "directory": directory,
			"targets": one.targets, "grade": grade, "hash": one.hash, "source": u.source, "symbols": len(one.symbols),
		}
		if isInternal(u.path) {
			record["internal"] = true
		}
		if u.partial {
			record["partial"] = true
		}
		if len(u.problems) > 0 {
			record["problems"] = u.problems
		}
		if one.unknown > 0 {
			record["unknown"] = one.unknown
		}
		if len(one.exposes) > 0 {
			record["exposes"] = one.exposes
		}
		if len(one.stubs) > 0 {
			record["stubs"] = one.stubs
		}
		w.line(record)
		for _, s := range one.symbols {
			w.symbol(s)
		}
		total += len(one.symbols)
	}
	u.problems = nil
	return total
}

// incomplete tells whether the type checker complained.
func (u *unit) incomplete() bool {
	for _, p := range u.problems {
		if !p.harmless() {
			return true
		}
	}
	return false
}

type writer struct {
	out *bufio.Writer
	err error
}

func (w *writer) line(record map[string]any) {
	data, err := json.Marshal(record)
	if err != nil {
		w.err = err
		return
	}
	// The kind of a record stands first, so that a reader need not parse the others.
	kind, _ := json.Marshal(record["record"])
	delete(record, "record")
	data, _ = json.Marshal(record)
	w.out.WriteString(`{"record":`)
	w.out.Write(kind)
	if len(data) > 2 {
		w.out.WriteByte(',')
	}
	w.out.Write(data[1:])
	w.out.WriteByte('\n')
}

func (w *writer) symbol(s symbol) {
	w.out.Write(s.body)
	if s.pos != "" {
		w.out.WriteString(`,"at":`)
		w.out.Write(appendString(nil, s.pos))
	}
	w.out.WriteString("}\n")
}

func readKnown(file string) (map[string]string, error) {
	known := map[string]string{}
	if file == "" {
		return known, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(data), "\n") {
		if path, digest, ok := strings.Cut(line, " "); ok {
			known[path] = digest
		}
	}
	return known, nil
}

// findModules reads go.mod. What a workspace holds beside the module is of other modules: users get the one, and never see
// go.work (Go modules reference, Workspaces). A directory that has go.work alone stands for all modules of it.
func findModules(o options) (mains []*module, problems []problem, err error) {
	m, err := readGoMod(filepath.Join(o.dir, "go.mod"))
	if os.IsNotExist(err) {
		mains, problems := useModules(o.dir)
		if len(mains) > 0 {
			return mains, problems, nil
		}
	}
	if err != nil {
		missing := os.IsNotExist(err)
		if !missing {
			problems = append(problems, goModProblem(err))
		}
		if m == nil {
			m = &module{Requires: map[string]string{}}
		}
		m.Path = o.path
		if m.Path == "" {
			absolute, _ := filepath.Abs(o.dir)
			m.Path = filepath.Base(absolute)
			code := "path-taken"
			if missing {
				code = "no-go-mod"
			}
			problems = append(problems, tell("go.mod", 0, code, "path", m.Path))
		}
	}
	m.Dir = o.dir
	if o.modcache != "" && within(filepath.ToSlash(o.dir), filepath.ToSlash(o.modcache)) {
		// It is published, and a dependency of whoever uses it: its replacements are nobody's (Go modules reference, replace).
		m.replaces = nil
	}
	return []*module{m}, problems, nil
}

// useModules reads the modules of a directory's go.work.
func useModules(dir string) (found []*module, problems []problem) {
	work, err := os.ReadFile(filepath.Join(dir, "go.work"))
	if err != nil || os.Getenv("GOWORK") == "off" {
		return nil, nil
	}
	for _, use := range workUses(string(work)) {
		m, err := readGoMod(filepath.Join(dir, use, "go.mod"))
		if err != nil {
			problems = append(problems, useProblem(use, err))
			continue
		}
		m.Dir = filepath.Join(dir, use)
		found = append(found, m)
	}
	return found, problems
}

// workspace is what stands beside the module in the nearest go.work, by path.
func workspace(o options, mains []*module) map[string]*module {
	found := map[string]*module{}
	dir, err := filepath.Abs(o.dir)
	for err == nil {
		used, _ := useModules(dir)
		for _, m := range used {
			found[m.Path] = m
		}
		if parent := filepath.Dir(dir); len(used) == 0 && parent != dir {
			dir = parent
			continue
		}
		break
	}
	for _, m := range mains {
		delete(found, m.Path)
	}
	return found
}

func workUses(text string) []string {
	var uses []string
	block := false
	for _, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "//")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "use" && len(words) > 1 && words[1] == "(":
			block = true
		case words[0] == ")":
			block = false
		case words[0] == "use" && len(words) > 1:
			uses = append(uses, strings.Trim(words[1], `"`))
		case block:
			uses = append(uses, strings.Trim(words[0], `"`))
		}
	}
	return uses
}
