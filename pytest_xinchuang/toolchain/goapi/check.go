package main

import (
	"errors"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"strconv"
	"strings"
)

// variant is the key of unit.checked: one check serves all targets where nothing depends on them.
func (l *loader) variant(u *unit, t int) int {
	if l.independent(u) {
		return -1
	}
	return t
}

// check type-checks a unit's declarations for a target; bodies are not looked at.
func (l *loader) check(u *unit, t int) *types.Package { return l.checkWith(u, t, nil) }

// checkWith looks at bodies, too, where info is given.
func (l *loader) checkWith(u *unit, t int, info *types.Info) *types.Package {
	key := l.variant(u, t)
	if pkg, ok := u.checked[key]; ok && info == nil {
		return pkg
	}
	l.parse(u)
	if u.inCheck {
		return nil
	}
	u.inCheck = true
	defer func() { u.inCheck = false }()
	var files []*ast.File
	for _, s := range u.files {
		if s.matches[t] {
			files = append(files, s.syntax)
			l.fillStubs(u, s.syntax)
		}
	}
	version := ""
	if m := u.place.mod; m != nil && m.Go != "" {
		version = "go" + languageVersion(m.Go)
		if !goBefore(m.Go, l.goMinor+1) {
			version = ""
			if len(u.problems) == 0 || u.problems[0].Code != "newer-go" {
				newerGo := tell(filepath.Join(m.Dir, "go.mod"), 0, "newer-go", "go", m.Go, "have", "1."+number(l.goMinor))
				u.problems = append([]problem{newerGo}, u.problems...)
			}
		}
	}
	seen := 0
	config := types.Config{
		GoVersion:        version,
		IgnoreFuncBodies: info == nil,
		FakeImportC:      true,
		Importer:         unitImporter{l, u, t},
		Sizes:            types.SizesFor("gc", l.targets[t].arch),
		Error: func(err error) {
			var told types.Error
			if !errors.As(err, &told) || told.Soft || u.std() {
				return
			}
			if seen++; seen > 5 {
				return
			}
			at := u.fset.Position(told.Pos)
			u.complain(at.Filename, at.Line, "type-error", "why", told.Msg)
		},
		DisableUnusedImportCheck: true,
	}
	pkg, _ := config.Check(u.path, u.fset, files, info)
	if info != nil && u.checked[key] != nil {
		return pkg // those that import it have the first one
	}
	u.checked[key] = pkg
	if !l.bodies && (key == -1 || len(u.checked) == len(l.targets)) {
		for _, s := range u.files {
			s.syntax = nil
		}
	}
	return pkg
}

// languageVersion is a go directive without its patch and release candidate.
func languageVersion(directive string) string {
	parts := strings.SplitN(directive, ".", 3)
	if len(parts) < 2 {
		return directive
	}
	minor := parts[1]
	if at := strings.IndexAny(minor, "abcdefghijklmnopqrstuvwxyz"); at > 0 {
		minor = minor[:at]
	}
	return parts[0] + "." + minor
}

type unitImporter struct {
	l *loader
	u *unit
	t int
}

func (i unitImporter) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	if !i.u.needed[path] {
		return i.l.fake(path, i.u), nil
	}
	dep, why := i.l.unit(path, i.u.std())
	if why != (absence{}) {
		return i.l.stub(path, i.u), nil
	}
	if pkg := i.l.check(dep, i.t); pkg != nil {
		return pkg, nil
	}
	i.u.complain(i.u.place.dir, 0, "import-cycle", "importer", i.u.path, "path", path)
	i.u.partial = true
	return i.l.stub(path, i.u), nil
}

// fake is an empty package for an import that no declaration uses.
func (l *loader) fake(path string, u *unit) *types.Package {
	if pkg, ok := l.fakes[path]; ok {
		return pkg
	}
	name := u.names[path]
	if name == "" {
		name = lastElement(path)
	}
	if !token.IsIdentifier(name) {
		name = "unused"
	}
	pkg := types.NewPackage(path, name)
	pkg.MarkComplete()
	l.fakes[path] = pkg
	return pkg
}

// stub is the opaque package that stands for one that cannot be found: fillStubs gives it the members that are used.
func (l *loader) stub(path string, u *unit) *types.Package {
	if pkg, ok := l.stubs[path]; ok {
		return pkg
	}
	name := u.names[path]
	if name == "" {
		name = lastElement(path)
	}
	if !token.IsIdentifier(name) {
		name = strings.Map(func(r rune) rune {
			if isLetter(byte(r)) || isDigit(byte(r)) {
				return r
			}
			return '_'
		}, name)
	}
	pkg := types.NewPackage(path, name)
	pkg.MarkComplete()
	l.stubs[path] = pkg
	return pkg
}

// use is how a declaration uses a member of a package that cannot be found.
type use struct {
	isType  bool
	isIface bool
	args    int
}

// fillStubs declares in the stubs what the file's declarations use of them. A member in the place of a type becomes an
// opaque type, so that what mentions it keeps its shape.
func (l *loader) fillStubs(u *unit, file *ast.File) {
	local := map[string]*types.Package{}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || path == "C" || path == "unsafe" || !u.needed[path] {
			continue
		}
		if _, why := l.unit(path, u.std()); why != (absence{}) {
			u.missing[path] = why
			pkg := l.stub(path, u)
			name := pkg.Name()
			if spec.Name != nil {
				name = spec.Name.Name
			}
			local[name] = pkg
		}
	}
	if len(local) == 0 {
		return
	}
	uses := map[*types.Package]map[string]use{}
	note := func(expr ast.Expr, how use) {
		if sel, ok := expr.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && local[id.Name] != nil && sel.Sel.IsExported() {
				pkg := local[id.Name]
				if uses[pkg] == nil {
					uses[pkg] = map[string]use{}
				}
				old := uses[pkg][sel.Sel.Name]
				old.isType = old.isType || how.isType
				old.isIface = old.isIface || how.isIface
				old.args = max(old.args, how.args)
				uses[pkg][sel.Sel.Name] = old
			}
		}
	}
	var typeExpr func(expr ast.Expr, iface bool)
	typeExpr = func(expr ast.Expr, iface bool) {
		switch e := expr.(type) {
		case *ast.SelectorExpr:
			note(e, use{isType: true, isIface: iface})
		case *ast.StarExpr:
			typeExpr(e.X, false)
		case *ast.ParenExpr:
			typeExpr(e.X, iface)
		case *ast.ArrayType:
			typeExpr(e.Elt, false)
		case *ast.Ellipsis:
			typeExpr(e.Elt, false)
		case *ast.MapType:
			typeExpr(e.Key, false)
			typeExpr(e.Value, false)
		case *ast.ChanType:
			typeExpr(e.Value, false)
		case *ast.UnaryExpr: // ~T
			typeExpr(e.X, false)
		case *ast.BinaryExpr: // A | B
			typeExpr(e.X, false)
			typeExpr(e.Y, false)
		case *ast.IndexExpr:
			note(e.X, use{isType: true, isIface: iface, args: 1})
			typeExpr(e.Index, false)
		case *ast.IndexListExpr:
			note(e.X, use{isType: true, isIface: iface, args: len(e.Indices)})
			for _, index := range e.Indices {
				typeExpr(index, false)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			note(n, use{})
		case *ast.InterfaceType:
			for _, field := range n.Methods.List {
				if len(field.Names) == 0 {
					typeExpr(field.Type, true)
				}
			}
		case *ast.TypeSpec:
			typeExpr(n.Type, false)
			if n.TypeParams != nil {
				for _, field := range n.TypeParams.List {
					typeExpr(field.Type, true)
				}
			}
		case *ast.FuncType:
			if n.TypeParams != nil {
				for _, field := range n.TypeParams.List {
					typeExpr(field.Type, true)
				}
			}
		case *ast.Field:
			typeExpr(n.Type, false)
		case *ast.ValueSpec:
			if n.Type != nil {
				typeExpr(n.Type, false)
			}
		case *ast.CompositeLit:
			if n.Type != nil {
				typeExpr(n.Type, false)
			}
		case *ast.ArrayType, *ast.MapType, *ast.ChanType:
			typeExpr(n.(ast.Expr), false)
		}
		return true
	})
	for pkg, members := range uses {
		for name, how := range members {
			if pkg.Scope().Lookup(name) == nil {
				declareStub(pkg, name, how)
			}
		}
	}
}

func declareStub(pkg *types.Package, name string, how use) {
	if !how.isType {
		pkg.Scope().Insert(types.NewVar(token.NoPos, pkg, name, types.Typ[types.Invalid]))
		return
	}
	object := types.NewTypeName(token.NoPos, pkg, name, nil)
	var underlying types.Type = types.NewStruct([]*types.Var{types.NewField(token.NoPos, pkg, "opaque", types.Typ[types.Int], false)}, nil)
	if how.isIface {
		underlying = types.NewInterfaceType(nil, nil).Complete()
	}
	named := types.NewNamed(object, underlying, nil)
	if how.args > 0 {
		params := make([]*types.TypeParam, how.args)
		for i := range params {
			tn := types.NewTypeName(token.NoPos, pkg, "T"+strconv.Itoa(i), nil)
			params[i] = types.NewTypeParam(tn, types.NewInterfaceType(nil, nil).Complete())
		}
		named.SetTypeParams(params)
	}
	pkg.Scope().Insert(object)
}

// isStub tells whether a type is declared by a package that could not be found.
func (l *loader) isStub(pkg *types.Package) bool {
	return pkg != nil && l.stubs[pkg.Path()] == pkg
}
