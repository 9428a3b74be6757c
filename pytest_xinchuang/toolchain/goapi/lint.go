package main

import (
	"go/ast"
	"go/types"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// lints are uses of objects that a product has to choose deliberately: by identity, so that an alias, a value or a dot
// import is seen, and something of the same name is not.
var lints = map[string]map[string]string{
	"net/http": {
		"DefaultClient": "default-http-client", "DefaultTransport": "default-http-client", "Get": "default-http-client",
		"Head": "default-http-client", "Post": "default-http-client", "PostForm": "default-http-client",
	},
	"time": {"Now": "unchecked-clock", "Since": "unchecked-clock", "Until": "unchecked-clock"},
}

type finding struct {
	rule, object, function, at string
}

// linter collects uses and who calls whom in the module.
type linter struct {
	l        *loader
	findings []finding
	callers  map[string]map[string]bool // callee -> callers
	roots    map[string]bool            // functions that others can call
}

// lint checks all units with their bodies and writes the findings, each with the shortest way from an exported function.
func lint(l *loader, units []*unit, w *writer) int {
	c := linter{l: l, callers: map[string]map[string]bool{}, roots: map[string]bool{}}
	for _, u := range units {
		l.parse(u)
		c.unit(u)
	}
	sort.Slice(c.findings, func(i, j int) bool {
		a, b := c.findings[i], c.findings[j]
		return a.at < b.at || a.at == b.at && a.object < b.object
	})
	for _, f := range c.findings {
		w.line(map[string]any{
			"record": "lint", "rule": f.rule, "object": f.object, "function": f.function, "at": f.at, "path": c.way(f.function),
		})
	}
	for _, u := range units {
		for _, p := range u.problems {
			if relative, err := filepath.Rel(u.place.mod.Dir, p.File); err == nil {
				p.File = filepath.ToSlash(relative)
			}
			w.line(map[string]any{
				"record": "problem", "file": p.File, "line": p.Line, "code": p.Code, "params": p.Params, "message": p.Message,
			})
		}
	}
	return len(c.findings)
}

func (c *linter) unit(u *unit) {
	for t := range c.l.targets {
		var files []*ast.File
		for _, s := range u.files {
			if s.matches[t] {
				files = append(files, s.syntax)
			}
		}
		if len(files) == 0 {
			continue
		}
		info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
		c.l.checkWith(u, t, info)
		for _, file := range files {
			for _, decl := range file.Decls {
				c.decl(u, info, decl)
			}
		}
		return // the first target that has files: the same source is not told of twice
	}
}

func (c *linter) decl(u *unit, info *types.Info, decl ast.Decl) {
	name := u.path + " (initialization)"
	if f, ok := decl.(*ast.FuncDecl); ok {
		object, ok := info.Defs[f.Name].(*types.Func)
		if !ok {
			return
		}
		name = object.Origin().FullName()
		if c.reachable(u, object) {
			c.roots[name] = true
		}
	} else {
		c.roots[name] = true
	}
	ast.Inspect(decl, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		object := info.Uses[id]
		if object == nil || object.Pkg() == nil {
			return true
		}
		if rule := lints[object.Pkg().Path()][object.Name()]; rule != "" && object.Parent() == object.Pkg().Scope() {
			at := u.fset.Position(id.Pos())
			file := at.Filename
			if relative, err := filepath.Rel(u.place.mod.Dir, file); err == nil {
				file = filepath.ToSlash(relative)
			}
			c.findings = append(c.findings, finding{
				rule, object.Pkg().Path() + "." + object.Name(), name, file + ":" + strconv.Itoa(at.Line),
			})
		}
		if f, ok := object.(*types.Func); ok {
			callee := f.Origin().FullName()
			if c.callers[callee] == nil {
				c.callers[callee] = map[string]bool{}
			}
			c.callers[callee][name] = true
		}
		return true
	})
}

// reachable tells whether another module can call a function, or the system starts it.
func (c *linter) reachable(u *unit, f *types.Func) bool {
	if u.name == "main" {
		return f.Name() == "main"
	}
	if !f.Exported() || isInternal(u.path) {
		return f.Name() == "init"
	}
	recv := f.Type().(*types.Signature).Recv()
	if recv == nil {
		return true
	}
	t := types.Unalias(recv.Type())
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	named, ok := t.(*types.Named)
	return ok && named.Obj().Exported()
}

// way is the shortest chain of calls from a root to a function; empty when there is none.
func (c *linter) way(function string) []string {
	next := map[string]string{function: ""}
	queue := []string{function}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if c.roots[at] {
			var way []string
			for name := at; name != ""; name = next[name] {
				way = append(way, strings.TrimSpace(name))
			}
			return way
		}
		callers := make([]string, 0, len(c.callers[at]))
		for name := range c.callers[at] {
			callers = append(callers, name)
		}
		sort.Strings(callers)
		for _, name := range callers {
			if _, seen := next[name]; !seen {
				next[name] = at
				queue = append(queue, name)
			}
		}
	}
	return []string{}
}
