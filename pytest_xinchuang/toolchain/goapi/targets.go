package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"go/ast"
	"go/build"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// target is what a package is read for: GOOS/GOARCH, and what is built otherwise than by default behind it, each after a
// plus: a build tag, or !cgo.
type target struct {
	os, arch string
	tags     []string
	noCgo    bool
}

const withoutCgo = "!cgo"

func (t target) String() string {
	text := t.os + "/" + t.arch
	for _, tag := range t.tags {
		text += "+" + tag
	}
	if t.noCgo {
		text += "+" + withoutCgo
	}
	return text
}

func parseTarget(text string) (target, bool) {
	parts := strings.Split(text, "+")
	system, arch, ok := strings.Cut(parts[0], "/")
	t := target{os: system, arch: arch}
	for _, part := range parts[1:] {
		if part == withoutCgo {
			t.noCgo = true
		} else {
			t.tags = append(t.tags, part)
		}
	}
	return t, ok && types.SizesFor("gc", arch) != nil
}

// context is how the go command chooses files for the target.
func (t target) context(tags []string, cgo bool) *build.Context {
	context := build.Default
	context.GOOS, context.GOARCH, context.CgoEnabled = t.os, t.arch, cgo && !t.noCgo
	context.BuildTags = append(append([]string(nil), tags...), t.tags...)
	context.ToolTags = nil
	for _, tag := range build.Default.ToolTags {
		if strings.HasPrefix(tag, "goexperiment.") {
			context.ToolTags = append(context.ToolTags, tag)
		}
	}
	return &context
}

// plain tells whether a file belongs to a target without a build tag of its own. Others often are programs or lists of tools.
func (l *loader) plain(s *source) bool {
	for i, match := range s.matches {
		if match && len(l.targets[i].tags) == 0 {
			return true
		}
	}
	return false
}

// ports are the targets that Go builds for (go tool dist list), those that one of several like ones is chosen of first.
var ports = strings.Fields(`linux/amd64 linux/arm64 linux/loong64 windows/amd64 darwin/arm64 darwin/amd64 windows/arm64 linux/386
	linux/arm linux/riscv64 linux/mips64le linux/ppc64le linux/s390x linux/mips64 linux/mips linux/mipsle linux/ppc64 windows/386
	freebsd/amd64 freebsd/arm64 freebsd/386 freebsd/arm freebsd/riscv64 netbsd/amd64 netbsd/arm64 netbsd/386 netbsd/arm
	openbsd/amd64 openbsd/arm64 openbsd/386 openbsd/arm openbsd/ppc64 openbsd/riscv64 dragonfly/amd64 solaris/amd64 illumos/amd64
	aix/ppc64 plan9/amd64 plan9/386 plan9/arm android/arm64 android/amd64 android/arm android/386 ios/arm64 ios/amd64
	js/wasm wasip1/wasm`)

// mostTags is how many build tags of its own a module is read with; more are tests and tools.
const mostTags = 12

// constrained is a file that some targets do not have.
type constrained struct {
	dir, name string
	text      []byte
	usesC     bool
	expr      constraint.Expr
}

// tellClasses writes for each target a digest over the files that it has: targets with the same one see the same.
func tellClasses(mains []*module, below string, tags []string, cgo bool, w *writer) {
	var files []constrained
	for _, m := range mains {
		paths, _, _ := walk(m, below)
		for _, path := range paths {
			dir := filepath.Join(m.Dir, filepath.FromSlash(strings.TrimPrefix(path, m.Path)))
			files = append(files, constrainedIn(dir)...)
		}
	}
	candidates := candidatesFor(files, tags, cgo)
	for _, candidate := range candidates {
		t, ok := parseTarget(candidate)
		if !ok {
			continue // a port that this Go does not know
		}
		context := t.context(tags, cgo)
		h := sha256.New()
		for _, file := range files {
			if file.matches(context) {
				io.WriteString(h, filepath.Join(file.dir, file.name)+"\n")
			}
		}
		w.line(map[string]any{"record": "target", "target": candidate, "files": hex.EncodeToString(h.Sum(nil))})
	}
}

// matches tells whether a target has the file.
func (f constrained) matches(context *build.Context) bool {
	context.OpenFile = func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.text)), nil }
	match, err := context.MatchFile(f.dir, f.name)
	return (match || err != nil) && !(f.usesC && !context.CgoEnabled)
}

// own lists the build tags of the module's own that a file asks about.
func (f constrained) own() []string {
	found := map[string]bool{}
	if f.expr != nil {
		f.expr.Eval(func(tag string) bool {
			if ownTag(tag) {
				found[tag] = true
			}
			return true
		})
	}
	names := make([]string, 0, len(found))
	for tag := range found {
		names = append(names, tag)
	}
	sort.Strings(names)
	return names
}

// candidatesFor are the ports, each tag of the module's own with the first of them, and for a file that none of these has the
// first port and the fewest tags that do.
func candidatesFor(files []constrained, tags []string, cgo bool) []string {
	candidates := append([]string(nil), ports...)
	add := func(candidate string) {
		if len(candidates) < len(ports)+mostTags && !slices.Contains(candidates, candidate) {
			candidates = append(candidates, candidate)
		}
	}
	for _, file := range files {
		for _, tag := range file.own() {
			add(ports[0] + "+" + tag)
		}
		mentionsCgo := file.usesC
		if file.expr != nil {
			file.expr.Eval(func(tag string) bool { mentionsCgo = mentionsCgo || tag == "cgo"; return true })
		}
		if mentionsCgo && cgo {
			add(ports[0] + "+" + withoutCgo)
		}
	}
	for _, file := range files {
		for _, candidate := range slices.Concat(candidates, combinations(file, cgo)) {
			if t, ok := parseTarget(candidate); ok && file.matches(t.context(tags, cgo)) {
				add(candidate)
				break
			}
		}
	}
	return candidates
}

// combinations are the ports with several tags of a file's own, and without cgo.
func combinations(file constrained, cgo bool) []string {
	own := file.own()
	if len(own) > 4 {
		return nil
	}
	var found []string
	for set := range 1 << len(own) {
		suffix := ""
		for i, tag := range own {
			if set&(1<<i) != 0 {
				suffix += "+" + tag
			}
		}
		for _, port := range ports {
			found = append(found, port+suffix)
			if cgo {
				found = append(found, port+suffix+"+"+withoutCgo)
			}
		}
	}
	return found
}

// known are tags that are no module's own: https://pkg.go.dev/cmd/go#hdr-Build_constraints.
var known = map[string]bool{
	"cgo": true, "unix": true, "gc": true, "gccgo": true, "race": true, "msan": true, "asan": true,
	"nacl": true, "hurd": true, "zos": true, "sparc64": true, "sparc": true, "ppc": true, "riscv": true, "s390": true, "arm64be": true,
	"armbe": true, "amd64p32": true, "mips64p32": true, "mips64p32le": true, "appengine": true, "tinygo": true, "compiler_bootstrap": true,
}

func ownTag(tag string) bool {
	// Who ignores a file has a generator make it again; go1.N, goexperiment.X and amd64.v3 are no module's own.
	if known[tag] || strings.Contains(tag, ".") || strings.HasPrefix(tag, "ignore") {
		return false
	}
	for _, port := range ports {
		if system, arch, _ := strings.Cut(port, "/"); tag == system || tag == arch {
			return false
		}
	}
	return true
}

// constrainedIn lists the files of a package that have a build constraint or import C.
func constrainedIn(dir string) []constrained {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var found []constrained
	packages := map[string]int{}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name[0] == '_' || name[0] == '.' {
			continue
		}
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() || info.Size() > largestFile {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		one := constrained{dir: dir, name: name, usesC: importsC(text)}
		one.text = header(text)
		plain := true
		if f, err := parser.ParseFile(token.NewFileSet(), "", one.text, parser.PackageClauseOnly|parser.ParseComments); err == nil {
			one.expr = expression(f)
			plain = one.expr == nil
			real, _ := parser.ParseFile(token.NewFileSet(), "", text, parser.PackageClauseOnly)
			if real != nil && real.Name != nil {
				packages[real.Name.Name]++
				if plain {
					packages[real.Name.Name] += len(entries)
				}
				names = append(names, real.Name.Name)
			} else {
				names = append(names, "")
			}
		} else {
			names = append(names, "")
		}
		found = append(found, one)
	}
	best := ""
	for name, count := range packages {
		if best == "" || count > packages[best] || count == packages[best] && name < best {
			best = name
		}
	}
	kept := found[:0]
	for i, one := range found {
		stem := strings.TrimSuffix(one.name, ".go")
		if (one.expr != nil || one.usesC || strings.Contains(stem, "_")) && (names[i] == best || names[i] == "") {
			kept = append(kept, one)
		}
	}
	return kept
}

// expression is the file's build constraint.
func expression(f *ast.File) constraint.Expr {
	var found constraint.Expr
	for _, group := range f.Comments {
		if group.Pos() >= f.Package {
			break
		}
		for _, comment := range group.List {
			expr, err := constraint.Parse(comment.Text)
			if err != nil {
				continue
			}
			if constraint.IsGoBuild(comment.Text) {
				return expr
			}
			if found == nil {
				found = expr
			} else {
				found = &constraint.AndExpr{X: found, Y: expr}
			}
		}
	}
	return found
}
