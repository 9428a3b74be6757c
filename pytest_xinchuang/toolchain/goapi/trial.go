package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"strings"
)

// question asks for clients of a symbol.
type question struct {
	Package string   `json:"package"`
	Name    string   `json:"name"` // empty: the package itself
	Label   string   `json:"label"`
	Added   []string `json:"added"` // members that the new version has, and the old one has not
}

// asked is what -clients names: the symbols that clients are written of, or clients that are there already.
type asked struct {
	Questions []question        `json:"questions"`
	Clients   []client          `json:"clients"`
	Moved     map[string]string `json:"moved"` // import path -> where it is now
	Without   []string          `json:"without"`
}

// client is a program that uses a symbol, and what became of it.
type client struct {
	Record   string   `json:"record"`
	Symbol   string   `json:"symbol"`
	Relation string   `json:"relation"`
	Mentions []string `json:"mentions,omitempty"` // what else of the module its text names: path.Name
	Promised bool     `json:"promised"`
	Source   string   `json:"source"`
	Language string   `json:"language,omitempty"` // the version of Go that it is written in; empty: the newest one
	Results  []result `json:"results,omitempty"`
}

// result is what the type checker says for a target; none stands there for all of them.
type result struct {
	Target  string `json:"target,omitempty"`
	Outcome string `json:"outcome"`
	Said    string `json:"said,omitempty"`
}

const (
	holds   = "holds"
	failing = "fails"
	untried = "untried" // something behind it was not read
)

// tried writes and tries clients, as a file asks for it.
func tried(l *loader, file string, mine func(string) bool, w *writer) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var ask asked
	if err := json.Unmarshal(data, &ask); err != nil {
		return err
	}
	t := trier{l: l, moved: ask.Moved, mine: mine, unread: map[types.Type]bool{}}
	count := 0
	write := func(one client) {
		one.Record = "client"
		count++
		data, _ := json.Marshal(one)
		w.out.Write(append(data, '\n'))
	}
	for _, one := range ask.Clients {
		one.Results = t.results(one.Source, one.Language)
		write(one)
	}
	if len(ask.Questions) > 0 {
		g := generator{l: l, t: &t, mine: mine, without: map[string]bool{}, language: l.oldestLanguage()}
		for _, relation := range ask.Without {
			g.without[relation] = true
		}
		for _, q := range ask.Questions {
			for _, one := range g.clients(q) {
				write(one)
			}
		}
	}
	w.line(map[string]any{"record": "end", "clients": count})
	return w.err
}

type trier struct {
	l      *loader
	moved  map[string]string
	mine   func(string) bool
	unread map[types.Type]bool
}

// results tries a client for every target; once, where nothing that it imports depends on one.
func (t *trier) results(source, language string) []result {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "client.go", source, parser.SkipObjectResolution)
	if err != nil {
		return []result{{Outcome: untried, Said: err.Error()}}
	}
	if t.independent(file) {
		return []result{t.try(fset, file, 0, language)}
	}
	var found []result
	for i, target := range t.l.targets {
		one := t.try(fset, file, i, language)
		one.Target = target.String()
		found = append(found, one)
	}
	return found
}

// oldestLanguage is what clients are written in if they can: that of the module, which no user's is older than, and 1.21 at
// least, since when that is so (Go toolchains, The go and toolchain lines). What a newer language allows, not all users have.
func (l *loader) oldestLanguage() string {
	const least = 21
	m := l.resolver.mains[0]
	if m.Go == "" || goBefore(m.Go, least) {
		return "go1." + number(least)
	}
	if !goBefore(m.Go, l.goMinor+1) {
		return ""
	}
	return "go" + languageVersion(m.Go)
}

func (t *trier) independent(file *ast.File) bool {
	for _, spec := range file.Imports {
		path := t.path(strings.Trim(spec.Path.Value, `"`))
		if path == "unsafe" {
			continue
		}
		if u, why := t.l.unit(path, false); why == (absence{}) && !t.l.independent(u) {
			return false
		}
	}
	return true
}

func (t *trier) path(path string) string {
	if to, ok := t.moved[path]; ok {
		return to
	}
	best := ""
	for from := range t.moved {
		if within(path, from) && len(from) > len(best) {
			best = from
		}
	}
	if best == "" {
		return path
	}
	return t.moved[best] + path[len(best):]
}

var errUnread = errors.New("it was not read")

// Import finds a package as a client of another module does.
type clientImporter struct {
	t      *trier
	target int
	failed *error
}

func (i clientImporter) Import(path string) (*types.Package, error) {
	pkg, err := i.find(i.t.path(path))
	if err != nil && *i.failed == nil {
		*i.failed = err
	}
	return pkg, err
}

func (i clientImporter) find(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	l := i.t.l
	u, why := l.unit(path, false)
	if why != (absence{}) {
		if i.t.mine(path) {
			return nil, fmt.Errorf("no package %s", path)
		}
		return nil, errUnread
	}
	if isInternal(path) {
		return nil, fmt.Errorf("use of internal package %s not allowed", path)
	}
	l.parse(u)
	matches := false
	for _, s := range u.files {
		matches = matches || s.matches[i.target]
	}
	switch {
	case u.partial: // what seems to be missing may stand in what was not read
		return nil, errUnread
	case !matches:
		return nil, fmt.Errorf("build constraints exclude all Go files of %s", path)
	case u.name == "main":
		return nil, fmt.Errorf("import of %s, a program", path)
	}
	if pkg := l.check(u, i.target); pkg != nil {
		return pkg, nil
	}
	return nil, errUnread
}

// try checks a client for a target.
func (t *trier) try(fset *token.FileSet, file *ast.File, target int, language string) result {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	var importing error
	said := ""
	config := types.Config{
		GoVersion: language,
		Importer:  clientImporter{t, target, &importing},
		Sizes:     types.SizesFor("gc", t.l.targets[target].arch),
		Error: func(err error) {
			var told types.Error
			if said == "" && errors.As(err, &told) {
				said = told.Msg
			}
		},
	}
	config.Check("client", fset, []*ast.File{file}, info)
	if importing != nil && !errors.Is(importing, errUnread) {
		return result{Outcome: failing, Said: importing.Error()}
	}
	if importing != nil || t.unsure(info) {
		return result{Outcome: untried}
	}
	if said != "" {
		line, _, _ := strings.Cut(said, "\n")
		return result{Outcome: failing, Said: line}
	}
	return result{Outcome: holds}
}

// unsure tells whether something that a client uses is of what could not be read.
func (t *trier) unsure(info *types.Info) bool {
	for _, object := range info.Uses {
		pkg := object.Pkg()
		if pkg == nil || pkg.Path() == "client" || isStd(pkg.Path()) && !t.mine(pkg.Path()) {
			continue
		}
		if t.l.isStub(pkg) || t.unreadIn(object.Type(), 0) {
			return true
		}
	}
	return false
}

// unreadIn looks for types of packages that are not here; what lies deeper in a type, no client of ours reaches.
func (t *trier) unreadIn(typ types.Type, depth int) bool {
	if depth > 6 || typ == nil {
		return false
	}
	if known, ok := t.unread[typ]; ok {
		return known
	}
	t.unread[typ] = false
	found := t.looksUnread(typ, depth+1)
	t.unread[typ] = found
	return found
}

func (t *trier) looksUnread(typ types.Type, depth int) bool {
	switch typ := types.Unalias(typ).(type) {
	case *types.Basic:
		return typ.Kind() == types.Invalid && typ != types.Typ[types.UntypedNil]
	case *types.Named:
		pkg := typ.Obj().Pkg()
		if t.l.isStub(pkg) {
			return true
		}
		for i := range typ.TypeArgs().Len() {
			if t.unreadIn(typ.TypeArgs().At(i), depth) {
				return true
			}
		}
		if pkg == nil || !t.mine(pkg.Path()) {
			return false
		}
		for i := range typ.NumMethods() {
			if t.unreadIn(typ.Method(i).Type(), depth) {
				return true
			}
		}
		return t.unreadIn(typ.Underlying(), depth)
	case *types.Pointer:
		return t.unreadIn(typ.Elem(), depth)
	case *types.Slice:
		return t.unreadIn(typ.Elem(), depth)
	case *types.Array:
		return t.unreadIn(typ.Elem(), depth)
	case *types.Chan:
		return t.unreadIn(typ.Elem(), depth)
	case *types.Map:
		return t.unreadIn(typ.Key(), depth) || t.unreadIn(typ.Elem(), depth)
	case *types.Signature:
		return t.unreadIn(typ.Params(), depth) || t.unreadIn(typ.Results(), depth)
	case *types.Tuple:
		for i := range typ.Len() {
			if t.unreadIn(typ.At(i).Type(), depth) {
				return true
			}
		}
	case *types.Struct:
		for i := range typ.NumFields() {
			if t.unreadIn(typ.Field(i).Type(), depth) {
				return true
			}
		}
	case *types.Interface:
		for i := range typ.NumMethods() {
			if t.unreadIn(typ.Method(i).Type(), depth) {
				return true
			}
		}
		for i := range typ.NumEmbeddeds() {
			if t.unreadIn(typ.EmbeddedType(i), depth) {
				return true
			}
		}
	}
	return false
}
