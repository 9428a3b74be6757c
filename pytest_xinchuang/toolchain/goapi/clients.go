package main

import (
	"fmt"
	"go/constant"
	"go/types"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// generator writes clients of symbols as the old version has them. What does not build with it is dropped, so that a client
// may be written on trial.
type generator struct {
	l       *loader
	t       *trier
	mine    func(string) bool
	without map[string]bool // relations that a policy excludes

	language string

	q     question
	pkg   *types.Package
	found map[string]*client // by source
	order []string
}

// clients writes and tries all clients of a symbol; only what builds is kept.
func (g *generator) clients(q question) []client {
	g.q, g.found, g.order = q, map[string]*client{}, nil
	u, why := g.l.unit(q.Package, false)
	if why != (absence{}) {
		return nil
	}
	g.l.parse(u)
	for t := range g.l.targets {
		if t > 0 && g.l.independent(u) {
			break
		}
		if g.pkg = g.l.check(u, t); g.pkg == nil || u.name == "main" {
			continue
		}
		if q.Name == "" {
			g.packageClient()
		} else if object := g.pkg.Scope().Lookup(q.Name); object != nil && object.Exported() {
			g.object(object)
		}
	}
	var kept []client
	for _, source := range g.order {
		one := g.found[source]
		for _, one.Language = range []string{g.language, ""} {
			one.Results = g.t.results(source, one.Language)
			if slices.ContainsFunc(one.Results, func(r result) bool { return r.Outcome == holds }) {
				kept = append(kept, *one)
				break
			}
		}
	}
	return kept
}

func (g *generator) object(object types.Object) {
	switch o := object.(type) {
	case *types.Func:
		g.function("", o.Type().(*types.Signature), scope{}, func(d *draft) string { return d.name(o) }, "")
	case *types.Var:
		g.variable(o)
	case *types.Const:
		g.constant(o)
	case *types.TypeName:
		g.typeName(o)
	}
}

// draft is the text of a client in the making.
type draft struct {
	g        *generator
	imports  map[string]string
	names    []string
	mentions map[string]bool
	bad      bool // it would have to name what nobody outside can
	loose    bool // it spells a struct type out
	body     strings.Builder
}

func (g *generator) draft() *draft {
	return &draft{g: g, imports: map[string]string{}, mentions: map[string]bool{}}
}

func (d *draft) qualify(pkg *types.Package) string {
	if name, ok := d.imports[pkg.Path()]; ok {
		return name
	}
	name := "lib"
	if n := len(d.imports); n > 0 {
		name += strconv.Itoa(n)
	}
	d.imports[pkg.Path()] = name
	d.names = append(d.names, pkg.Path())
	return name
}

func (d *draft) name(o types.Object) string {
	d.mention(o)
	return d.qualify(o.Pkg()) + "." + o.Name()
}

func (d *draft) mention(o types.Object) {
	if o.Pkg() != nil && d.g.mine(o.Pkg().Path()) {
		d.mentions[o.Pkg().Path()+"."+o.Name()] = true
	}
}

// typ writes a type as a client does.
func (d *draft) typ(t types.Type) string {
	d.look(t, 0)
	return types.TypeString(t, d.qualify)
}

// look finds what cannot be written.
func (d *draft) look(t types.Type, depth int) {
	if depth > 30 || t == nil {
		d.bad = true
		return
	}
	depth++
	object := func(o *types.TypeName, args *types.TypeList) {
		if pkg := o.Pkg(); pkg != nil {
			if !o.Exported() || isInternal(pkg.Path()) || d.g.l.isStub(pkg) || o.Parent() != pkg.Scope() {
				d.bad = true
			}
			d.mention(o)
		}
		for i := range args.Len() {
			d.look(args.At(i), depth)
		}
	}
	switch t := t.(type) {
	case *types.Basic:
		d.bad = d.bad || t.Kind() == types.Invalid
	case *types.Alias:
		object(t.Obj(), t.TypeArgs())
	case *types.Named:
		object(t.Obj(), t.TypeArgs())
	case *types.Pointer:
		d.look(t.Elem(), depth)
	case *types.Slice:
		d.look(t.Elem(), depth)
	case *types.Array:
		d.look(t.Elem(), depth)
	case *types.Chan:
		d.look(t.Elem(), depth)
	case *types.Map:
		d.look(t.Key(), depth)
		d.look(t.Elem(), depth)
	case *types.Signature:
		d.look(t.Params(), depth)
		d.look(t.Results(), depth)
	case *types.Tuple:
		for i := range t.Len() {
			d.look(t.At(i).Type(), depth)
		}
	case *types.Struct:
		d.loose = true
		for i := range t.NumFields() {
			d.bad = d.bad || !t.Field(i).Exported()
			d.look(t.Field(i).Type(), depth)
		}
	case *types.Interface:
		for i := range t.NumExplicitMethods() {
			m := t.ExplicitMethod(i)
			d.bad = d.bad || !m.Exported()
			d.look(m.Type(), depth)
		}
		for i := range t.NumEmbeddeds() {
			d.look(t.EmbeddedType(i), depth)
		}
	case *types.Union:
		for i := range t.Len() {
			d.look(t.Term(i).Type(), depth)
		}
	case *types.TypeParam:
	default:
		d.bad = true
	}
}

func (d *draft) add(format string, values ...any) { fmt.Fprintf(&d.body, format+"\n", values...) }

// end keeps a client of the symbol, or of a member of it. What the language's users may not count on is not promised.
func (d *draft) end(member, relation string, promised bool) {
	g := d.g
	if d.bad || g.without[relation] {
		return
	}
	var text strings.Builder
	text.WriteString("package client\n")
	for _, path := range d.names {
		fmt.Fprintf(&text, "\nimport %s %q\n", d.imports[path], path)
	}
	text.WriteString("\n")
	text.WriteString(d.body.String())
	source := text.String()
	if _, ok := g.found[source]; ok {
		return
	}
	one := &client{Symbol: g.q.Label, Relation: relation, Promised: promised && !d.loose, Source: source}
	if member != "" {
		one.Symbol += "." + member
		d.mentions[g.q.Package+"."+g.q.Name] = true
	}
	for name := range d.mentions {
		one.Mentions = append(one.Mentions, name)
	}
	sort.Strings(one.Mentions)
	g.found[source] = one
	g.order = append(g.order, source)
}

func (g *generator) packageClient() {
	d := g.draft()
	d.add("import _ %q", g.pkg.Path())
	d.end("", "import", true)
}

// scope is the type parameters that a client declares around what it does.
type scope struct {
	params []*types.TypeParam
}

// write is the list with constraints; named ones as they are, or spelled out as the old version has them.
func (s scope) write(d *draft, expanded bool) string {
	if len(s.params) == 0 {
		return ""
	}
	var parts []string
	for _, p := range s.params {
		constraint := p.Constraint()
		if expanded && constraint.Underlying() != types.Universe.Lookup("comparable").Type().Underlying() {
			if named, ok := types.Unalias(constraint).(*types.Named); ok {
				d.mention(named.Obj()) // what became of it explains what becomes of the client
			}
			constraint = constraint.Underlying()
		}
		parts = append(parts, p.Obj().Name()+" "+d.typ(constraint))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (s scope) args() string {
	if len(s.params) == 0 {
		return ""
	}
	var names []string
	for _, p := range s.params {
		names = append(names, p.Obj().Name())
	}
	return "[" + strings.Join(names, ", ") + "]"
}

func (s scope) with(list *types.TypeParamList) scope {
	params := append([]*types.TypeParam(nil), s.params...)
	for i := range list.Len() {
		params = append(params, list.At(i))
	}
	return scope{params}
}

// bare is a signature without receiver, type parameters and names.
func bare(sig *types.Signature) *types.Signature {
	strip := func(t *types.Tuple) *types.Tuple {
		var vars []*types.Var
		for i := range t.Len() {
			vars = append(vars, types.NewVar(0, nil, "", t.At(i).Type()))
		}
		return types.NewTuple(vars...)
	}
	return types.NewSignatureType(nil, nil, nil, strip(sig.Params()), strip(sig.Results()), sig.Variadic())
}

// function writes the clients of a function, or of a method of a receiver that "r" holds.
func (g *generator) function(
	member string, sig *types.Signature, outer scope, name func(*draft) string, receiver string,
) {
	all := outer.with(sig.TypeParams())
	own := scope{}.with(sig.TypeParams())
	plain := bare(sig)
	relation := "value"
	if len(own.params) > 0 {
		relation = "instantiate"
	}
	// For every type that the old constraints admit, first; then for what the constraints of that name admit.
	for _, expanded := range []bool{true, false} {
		d := g.draft()
		r := g.receiver(d, receiver)
		d.add("func use%s(%s) {", all.write(d, expanded), r)
		d.add("\tvar f %s = %s%s", d.typ(plain), name(d), own.args())
		d.add("\t_ = f\n}")
		if !expanded {
			relation += "-named"
		}
		d.end(member, relation, true)
		g.calls(member, plain, all, expanded, name, receiver)
	}
	d := g.draft()
	d.add("func use%s(%s) {", all.write(d, false), g.receiver(d, receiver))
	d.add("\t_ = %s%s\n}", name(d), own.args())
	d.end(member, "select", true)
}

// receiver is the parameter list of a client of a method.
func (g *generator) receiver(d *draft, receiver string) string {
	if receiver == "" {
		return ""
	}
	return "r " + strings.ReplaceAll(receiver, "@", d.qualify(g.pkg)+".")
}

func (g *generator) calls(
	member string, sig *types.Signature, all scope, expanded bool, name func(*draft) string, receiver string,
) {
	count := sig.Params().Len()
	write := func(relation string, arguments func(d *draft) []string, more func(d *draft, call string)) {
		d := g.draft()
		var params []string
		if r := g.receiver(d, receiver); r != "" {
			params = append(params, r)
		}
		for i := range count {
			params = append(params, fmt.Sprintf("v%d %s", i, d.typ(sig.Params().At(i).Type())))
		}
		d.add("func use%s(%s) {", all.write(d, expanded), strings.Join(params, ", "))
		more(d, fmt.Sprintf("%s(%s)", name(d), strings.Join(arguments(d), ", ")))
		d.add("}")
		d.end(member, relation, true)
	}
	given := func(spread, tail int) func(*draft) []string {
		return func(*draft) []string {
			var found []string
			for i := range count {
				last := sig.Variadic() && i == count-1
				switch {
				case last && spread > 0:
					found = append(found, fmt.Sprintf("v%d...", i))
				case last:
					for range tail {
						found = append(found, fmt.Sprintf("v%d[0]", i))
					}
				default:
					found = append(found, fmt.Sprintf("v%d", i))
				}
			}
			return found
		}
	}
	take := func(d *draft, call string) {
		results := sig.Results()
		if results.Len() == 0 {
			d.add("\t%s", call)
			return
		}
		var names []string
		for i := range results.Len() {
			d.add("\tvar r%d %s", i, d.typ(results.At(i).Type()))
			names = append(names, "r"+strconv.Itoa(i))
		}
		list := strings.Join(names, ", ")
		d.add("\t%s = %s", list, call)
		d.add("\t%s = %s", strings.Repeat(", _", len(names))[2:], list)
	}
	write("call", given(0, 0), take)
	if results := sig.Results().Len(); results > 0 {
		blank := strings.Repeat(", _", results)[2:]
		write("results", given(0, 0), func(d *draft, call string) { d.add("\t%s = %s", blank, call) })
	}
	if sig.Variadic() {
		write("arguments", given(0, 2), take)
		write("spread", given(1, 0), take)
	}
	if sig.Results().Len() == 1 {
		for _, form := range []string{
			"\tfor range %s {\n\t}", "\tfor k := range %s {\n\t\t_ = k\n\t}", "\tfor k, v := range %s {\n\t\t_, _ = k, v\n\t}",
		} {
			write("range", given(0, 0), func(d *draft, call string) { d.add(form, call) })
		}
	}
	if count > 0 {
		write("constants", func(d *draft) []string {
			var found []string
			for i := range count {
				if sig.Variadic() && i == count-1 {
					continue
				}
				found = append(found, inPlace(d, sig.Params().At(i).Type(), "v"+strconv.Itoa(i)))
			}
			return found
		}, func(d *draft, call string) {
			d.add("\t%s = %s", strings.Repeat(", _", max(1, sig.Results().Len()))[2:], call)
		})
	}
}

// inPlace is how somebody writes an argument down in the place.
func inPlace(d *draft, t types.Type, otherwise string) string {
	if sig, ok := types.Unalias(t).(*types.Signature); ok {
		return "func" + strings.TrimPrefix(d.typ(bare(sig)), "func") + " { panic(0) }"
	}
	if basic, ok := t.Underlying().(*types.Basic); ok {
		if _, param := types.Unalias(t).(*types.TypeParam); param {
			return otherwise
		}
		switch info := basic.Info(); {
		case info&types.IsBoolean != 0:
			return "true"
		case info&types.IsString != 0:
			return `"x"`
		case info&types.IsNumeric != 0:
			return "1"
		}
	}
	if _, slice := t.Underlying().(*types.Slice); slice {
		return d.typ(t) + "{}"
	}
	return otherwise
}

func (g *generator) variable(o *types.Var) {
	t := o.Type()
	for _, one := range []struct{ relation, form string }{
		{"read", "var x %[2]s = %[1]s"},
		{"assign", "func use(x %[2]s) { %[1]s = x }"},
		{"address", "var x *%[2]s = &%[1]s"},
	} {
		d := g.draft()
		d.add(one.form, d.name(o), d.typ(t))
		d.end("", one.relation, true)
	}
	d := g.draft()
	d.add("var x = %s", d.name(o))
	d.end("", "select", true)
	if structure, ok := t.Underlying().(*types.Struct); ok {
		for i := range structure.NumFields() {
			if f := structure.Field(i); f.Exported() {
				d := g.draft()
				d.add("var x = &%s.%s", d.name(o), f.Name())
				d.end("", "select", true)
			}
		}
	}
	if sig, ok := t.Underlying().(*types.Signature); ok && sig.TypeParams().Len() == 0 {
		g.calls("", bare(sig), scope{}, false, func(d *draft) string { return d.name(o) }, "")
	}
}

func (g *generator) constant(o *types.Const) {
	basic, ok := o.Type().Underlying().(*types.Basic)
	if !ok {
		return
	}
	one := func(relation, format string, values ...any) {
		d := g.draft()
		d.add(format, append([]any{d.name(o)}, values...)...)
		d.end("", relation, true)
	}
	one("read", "const c = %s")
	one("select", "var x = %s")
	d := g.draft()
	d.add("var x = %s\n\nvar y *%s = &x", d.name(o), d.typ(types.Default(o.Type())))
	d.end("", "infer", true)
	d = g.draft()
	if basic.Info()&types.IsUntyped == 0 {
		d.add("const c %s = %s", d.typ(o.Type()), d.name(o))
		d.end("", "typed", true)
	} else {
		for _, t := range []string{"bool", "string", "int8", "uint8", "int", "uint", "int64", "uint64", "float64", "complex128"} {
			one("typed", "const c "+t+" = %s")
			one("typed", "type t "+t+"\n\nconst c t = %s")
		}
	}
	if basic.Info()&types.IsInteger != 0 {
		if n, exact := constant.Int64Val(constant.ToInt(o.Val())); exact && 0 <= n && n < 1<<16 {
			one("array", "var x [%[2]d]int = [%[1]s]int{}", n)
		}
		one("shift", "const c = 1 << (%s & 7)")
	}
	d = g.draft()
	if basic.Info()&types.IsUntyped == 0 {
		d.add("func use(x %s) {\n\tswitch x {\n\tcase %s:\n\t}\n}", d.typ(o.Type()), d.name(o))
		d.end("", "switch", true)
	}
}
