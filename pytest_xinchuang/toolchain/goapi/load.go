package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// largestFile is what the parser is given at most, after bodies and comments are gone: a generated file beyond it would
// take gigabytes.
const largestFile = 32 << 20

// source is one Go file.
type source struct {
	name       string
	text       []byte // stripped; nil once it is parsed
	digest     [sha256.Size]byte
	matches    []bool // by target
	imports    []string
	usesC      bool
	deprecated map[int]bool
	syntax     *ast.File
}

// unit is a package directory.
type unit struct {
	path     string
	place    place
	name     string
	files    []*source
	fset     *token.FileSet
	problems []problem
	partial  bool               // some of it could not be read: a symbol that is not seen may be there
	same     bool               // for every target
	missing  map[string]absence // import paths that lead nowhere

	checked map[int]*types.Package // by target; -1 for all
	inCheck bool
	sameSet int8 // 0 unknown, 1 in progress, 2 known
	needed  map[string]bool
	names   map[string]string // import path -> the name of its package

	read    bool
	parsed  bool
	source  string  // digest of all that the API follows from
	uses    []*unit // what it imports of the module
	asKnown bool    // it has the source digest of the baseline
}

// unread forgets what was read of the files.
func (u *unit) unread() {
	u.files, u.problems, u.partial, u.read = nil, nil, false, false
}

type loader struct {
	resolver *resolver
	targets  []target
	contexts []*build.Context
	cgo      bool
	units    map[string]*unit
	fakes    map[string]*types.Package
	stubs    map[string]*types.Package
	nowhere  map[string]absence // import path that leads nowhere
	clauses  map[string]string  // directory -> package name
	goMinor  int
	bodies   bool // of the module's own functions, for lints
}

func newLoader(r *resolver, targets []target, tags []string, cgo bool) *loader {
	l := &loader{
		resolver: r, targets: targets, cgo: cgo, units: map[string]*unit{}, fakes: map[string]*types.Package{},
		stubs: map[string]*types.Package{}, clauses: map[string]string{}, nowhere: map[string]absence{},
	}
	l.goMinor = len(build.Default.ReleaseTags)
	for _, t := range targets {
		context := t.context(tags, cgo)
		context.GOROOT = r.goroot
		l.contexts = append(l.contexts, context)
	}
	return l
}

// unit returns the package at an import path, or nil and why there is none.
func (l *loader) unit(path string, fromStd bool) (*unit, absence) {
	key := path
	if fromStd && !isStd(path) {
		key = "vendor/" + path
	}
	if u, ok := l.units[key]; ok {
		return u, absence{}
	}
	if why, ok := l.nowhere[key]; ok {
		return nil, why
	}
	where, why := l.resolver.find(path, fromStd)
	if why != (absence{}) {
		l.nowhere[key] = why
		return nil, why
	}
	u := &unit{path: key, place: where, checked: map[int]*types.Package{}}
	l.units[key] = u
	return u, absence{}
}

func (u *unit) std() bool { return u.place.mod == nil }

func (u *unit) complain(file string, line int, code string, parameters ...string) {
	u.problems = append(u.problems, tell(file, line, code, parameters...))
}

// readFiles reads and strips the files that belong to a target, and digests them.
func (l *loader) readFiles(u *unit) {
	if u.read {
		return
	}
	u.read = true
	entries, err := os.ReadDir(u.place.dir)
	if err != nil {
		u.complain(u.place.dir, 0, "unreadable", "why", err.Error())
		u.partial = true
		return
	}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name[0] == '_' || name[0] == '.' {
			continue
		}
		file := filepath.Join(u.place.dir, name)
		info, err := os.Stat(file)
		if err != nil || !info.Mode().IsRegular() {
			u.complain(file, 0, "irregular-file")
			u.partial = u.partial || err != nil
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			u.complain(file, 0, "unreadable", "why", err.Error())
			u.partial = true
			continue
		}
		if s := l.source(u, name, file, text); s != nil {
			u.files = append(u.files, s)
		}
	}
}

func (l *loader) source(u *unit, name, file string, text []byte) *source {
	s := &source{name: name, matches: make([]bool, len(l.targets))}
	if at := bytes.IndexByte(text, 0); at >= 0 {
		u.complain(file, 1+bytes.Count(text[:at], newlines), "binary-file")
		u.partial = true
		return nil
	}
	if s.usesC = importsC(text); s.usesC && u.std() {
		return nil
	}
	any := false
	for i, context := range l.contexts {
		context.OpenFile = func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(header(text))), nil }
		match, err := context.MatchFile(u.place.dir, name)
		// What is wrong with a file's clause or imports the parser tells better, with a line.
		s.matches[i] = (match || err != nil) && !(s.usesC && !context.CgoEnabled)
		any = any || s.matches[i]
	}
	if !any {
		return nil
	}
	if !u.std() {
		s.digest = sha256.Sum256(text)
	}
	if l.bodies && !u.std() && u.place.mod.main {
		s.text = text
	} else if stripped, deprecated, ok := strip(text); ok {
		s.text, s.deprecated = stripped, deprecated
	} else {
		s.text = text
	}
	if len(s.text) > largestFile {
		u.complain(file, 0, "large-file", "mib", number(len(s.text)>>20), "most", number(largestFile>>20))
		u.partial = true
		return nil
	}
	return s
}

// header is the part that build constraints stand in: everything before the package clause, and the clause.
// The import declarations are left out; the go command reads them, and nothing here needs them a second time.
func header(text []byte) []byte {
	at := 0
	for at < len(text) {
		line := text[at:]
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			return text
		}
		trimmed := bytes.TrimSpace(line[:end])
		at += end + 1
		if bytes.HasPrefix(trimmed, []byte("/*")) {
			return text
		}
		if bytes.HasPrefix(trimmed, []byte("package ")) {
			return append(bytes.Clone(text[:at-end-1]), "package p\n"...)
		}
	}
	return text
}

func importsC(text []byte) bool {
	at := bytes.Index(text, []byte(`"C"`))
	if at < 0 {
		return false
	}
	line := text[bytes.LastIndexByte(text[:at], '\n')+1 : at]
	word := strings.TrimSpace(string(line))
	return word == "import" || word == ""
}

// parse reads the syntax of a unit's files, and finds the package's name.
func (l *loader) parse(u *unit) {
	if u.parsed {
		return
	}
	l.readFiles(u)
	u.parsed = true
	u.fset = token.NewFileSet()
	names := map[string]int{}
	kept := u.files[:0]
	for _, s := range u.files {
		file := filepath.Join(u.place.dir, s.name)
		syntax, err := parser.ParseFile(u.fset, file, s.text, parser.SkipObjectResolution)
		s.text = nil
		if err != nil {
			u.partial = true
			l.syntaxErrors(u, file, err)
		}
		if syntax == nil || syntax.Name == nil || syntax.Name.Name == "" || syntax.Name.Name == "_" {
			u.partial = true
			continue
		}
		s.syntax = syntax
		for _, spec := range syntax.Imports {
			if path, err := strconv.Unquote(spec.Path.Value); err == nil && path != "C" {
				s.imports = append(s.imports, path)
			}
		}
		names[syntax.Name.Name]++
		kept = append(kept, s)
	}
	u.files = kept
	for name, count := range names {
		better := u.name == "" || count > names[u.name] || count == names[u.name] && name < u.name
		// Generators and examples are often kept beside a package under "//go:build ignore"; documentation by convention.
		if name != "documentation" && (better || u.name == "documentation") {
			u.name = name
		}
	}
	if len(names) > 1 {
		kept := u.files[:0]
		for _, s := range u.files {
			if s.syntax.Name.Name == u.name {
				kept = append(kept, s)
			} else if s.syntax.Name.Name != "documentation" && l.plain(s) {
				u.partial = true
				u.complain(filepath.Join(u.place.dir, s.name), u.fset.Position(s.syntax.Name.Pos()).Line,
					"other-package", "package", s.syntax.Name.Name, "others", u.name)
			}
		}
		u.files = kept
	}
	l.findNeeded(u)
}

func (l *loader) syntaxErrors(u *unit, file string, err error) {
	list, ok := err.(scanner.ErrorList)
	if !ok {
		u.complain(file, 0, "unreadable", "why", err.Error())
		return
	}
	for i, one := range list {
		if i == 3 {
			u.complain(file, one.Pos.Line, "more-syntax-errors", "n", number(len(list)-i))
			break
		}
		u.complain(file, one.Pos.Line, "syntax-error", "why", one.Msg)
	}
}

// findNeeded finds the imports that declarations use. What only bodies used is not loaded at all.
func (l *loader) findNeeded(u *unit) {
	u.needed, u.names, u.missing = map[string]bool{}, map[string]string{}, map[string]absence{}
	for _, s := range u.files {
		used := map[string]bool{}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if id, ok := sel.X.(*ast.Ident); ok {
					used[id.Name] = true
				}
			}
			return true
		})
		for _, spec := range s.syntax.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil || path == "C" || path == "unsafe" || u.needed[path] {
				continue
			}
			switch {
			case spec.Name != nil && spec.Name.Name == "_":
			case spec.Name != nil && spec.Name.Name == ".":
				u.needed[path] = true
			case spec.Name != nil:
				u.needed[path] = used[spec.Name.Name]
			case used[lastElement(path)]:
				u.needed[path] = true
			case len(used) > 0:
				name := l.packageName(path, u.std())
				u.names[path] = name
				u.needed[path] = used[name]
			}
		}
	}
}

// lastElement guesses a package's name from its import path: the last element that is no major version.
func lastElement(path string) string {
	at := strings.LastIndexByte(path, '/')
	last := path[at+1:]
	if len(last) > 1 && last[0] == 'v' && strings.Trim(last[1:], "0123456789") == "" && at > 0 {
		path = path[:at]
		last = path[strings.LastIndexByte(path, '/')+1:]
	}
	if dot := strings.LastIndex(last, ".v"); dot > 0 {
		last = last[:dot]
	}
	return last
}

// packageName reads the name in the package clause at an import path.
func (l *loader) packageName(path string, fromStd bool) string {
	where, why := l.resolver.find(path, fromStd)
	if why != (absence{}) {
		guess := lastElement(path)
		guess = strings.TrimSuffix(strings.TrimPrefix(guess, "go-"), "-go")
		return strings.TrimSuffix(guess, ".go")
	}
	if name, ok := l.clauses[where.dir]; ok {
		return name
	}
	name := lastElement(path)
	entries, _ := os.ReadDir(where.dir)
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(where.dir, entry.Name()), nil, parser.PackageClauseOnly)
		if err == nil && f.Name.Name != "documentation" && f.Name.Name != "main" {
			name = f.Name.Name
			break
		}
	}
	l.clauses[where.dir] = name
	return name
}

// independent tells whether the unit's declarations are the same for every target: its files are, and so are those of all
// that its declarations use.
func (l *loader) independent(u *unit) bool {
	if len(l.targets) == 1 {
		return true
	}
	if u.sameSet == 2 {
		return u.same
	}
	if u.sameSet == 1 {
		return true // a cycle; whoever began decides
	}
	u.sameSet = 1
	l.parse(u)
	same := true
	for _, s := range u.files {
		for _, match := range s.matches {
			same = same && match == s.matches[0]
		}
		same = same && !s.usesC
	}
	for path, needed := range u.needed {
		if !same || !needed {
			continue
		}
		if dep, why := l.unit(path, u.std()); why == (absence{}) {
			same = same && l.independent(dep)
		}
	}
	u.same, u.sameSet = same, 2
	return same
}

// walk lists the import paths of the packages of a module below a directory, in order.
func walk(m *module, below string) (paths []string, nested []string, problems []problem) {
	root := filepath.Join(m.Dir, below)
	unread := func(file string, err error) {
		if relative, err := filepath.Rel(m.Dir, file); err == nil {
			file = filepath.ToSlash(relative)
		}
		problems = append(problems, tell(file, 0, "unreadable", "why", reason(err)))
	}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			unread(file, err)
			if entry != nil && entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.IsDir() {
			return nil // symbolic links to directories are not followed, as the go command does not
		}
		name := entry.Name()
		if file != root {
			if name == "vendor" || name == "testdata" || name[0] == '.' || name[0] == '_' {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil {
				relative, _ := filepath.Rel(m.Dir, file)
				nested = append(nested, filepath.ToSlash(relative))
				return fs.SkipDir
			}
		}
		if hasGo(file) {
			relative, _ := filepath.Rel(m.Dir, file)
			if relative == "." {
				paths = append(paths, m.Path)
			} else {
				paths = append(paths, m.Path+"/"+filepath.ToSlash(relative))
			}
		}
		return nil
	})
	if err != nil {
		unread(root, err)
	}
	sort.Strings(paths)
	return paths, nested, problems
}

// sourceDigest is over everything that a unit's API follows from: its files, what they import of this and other modules,
// the targets, the tool chain.
func (l *loader) sourceDigest(u *unit, seen map[*unit]bool) string {
	if u.source != "" {
		return u.source
	}
	if seen[u] {
		return "cycle"
	}
	seen[u] = true
	l.readFiles(u)
	h := sha256.New()
	imports := map[string]bool{}
	for _, s := range u.files {
		fmt.Fprintf(h, "%s %x %v\n", s.name, s.digest, s.matches)
		paths := s.imports
		if s.text != nil {
			paths = importPaths(s.text)
		}
		for _, path := range paths {
			imports[path] = true
		}
	}
	for _, p := range u.problems {
		fmt.Fprintf(h, "problem %s\n", p.Message)
	}
	sorted := make([]string, 0, len(imports))
	for path := range imports {
		sorted = append(sorted, path)
	}
	sort.Strings(sorted)
	for _, path := range sorted {
		if isStd(path) {
			continue
		}
		dep, why := l.unit(path, false)
		switch {
		case why != (absence{}):
			fmt.Fprintf(h, "missing %s@%s\n", path, l.resolver.owner(path).Version)
		case dep.place.mod.Version == "" || dep.place.mod.local:
			u.uses = append(u.uses, dep)
			fmt.Fprintf(h, "import %s %s\n", path, l.sourceDigest(dep, seen))
		default:
			fmt.Fprintf(h, "import %s %s@%s\n", path, dep.place.mod.Path, dep.place.mod.Version)
		}
	}
	u.source = "sha256:" + hex.EncodeToString(h.Sum(nil))
	return u.source
}

// importPaths reads the import declarations alone.
func importPaths(text []byte) []string {
	f, err := parser.ParseFile(token.NewFileSet(), "", text, parser.ImportsOnly|parser.SkipObjectResolution)
	if f == nil {
		return []string{fmt.Sprint(err)}
	}
	var paths []string
	for _, spec := range f.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

// dependents counts for each unit how many others wait for it, itself included.
func (l *loader) dependents(units []*unit) map[*unit]int {
	waiting := map[*unit]int{}
	for _, u := range units {
		waiting[u]++
		for _, dep := range u.uses {
			waiting[dep]++
		}
	}
	return waiting
}

// release lets go of what no unit waits for any more, so that the memory of a large module is that of a part of it.
func (l *loader) release(u *unit, waiting map[*unit]int) {
	for _, one := range append([]*unit{u}, u.uses...) {
		if waiting[one]--; waiting[one] == 0 {
			one.checked, one.files, one.fset = map[int]*types.Package{}, nil, nil
			one.needed, one.names = nil, nil
			delete(l.units, one.path)
		}
	}
}
