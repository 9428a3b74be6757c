package main

import (
	"fmt"
	"go/types"
	"strings"
)

// typeName writes the clients of a type: of what it is made of, of its fields and its methods.
func (g *generator) typeName(o *types.TypeName) {
	if alias, ok := o.Type().(*types.Alias); ok && o.IsAlias() {
		g.alias(o, alias)
		if alias.TypeParams().Len() > 0 {
			return
		}
	} else if o.IsAlias() {
		return
	}
	t := o.Type()
	all := scope{}
	self := "@" + o.Name()
	if named, ok := types.Unalias(t).(*types.Named); ok && !o.IsAlias() && named.TypeParams().Len() > 0 {
		all = all.with(named.TypeParams())
		self += all.args()
		args := make([]types.Type, len(all.params))
		for i, p := range all.params {
			args[i] = p
		}
		if made, err := types.Instantiate(nil, named, args, false); err == nil {
			t = made
		}
	}
	s := subject{g, o, t, all, self}
	s.declared()
	if iface, ok := t.Underlying().(*types.Interface); ok {
		s.interfaces(iface)
		return
	}
	s.made()
	if structure, ok := t.Underlying().(*types.Struct); ok {
		s.structs(structure)
	}
	s.methods()
	s.beside()
}

// subject is a type that clients are written of; "@" in its name stands for the package.
type subject struct {
	g    *generator
	o    *types.TypeName
	t    types.Type
	all  scope
	self string
}

func (s subject) name(d *draft) string {
	d.mention(s.o)
	return strings.ReplaceAll(s.self, "@", d.qualify(s.g.pkg)+".")
}

// one writes a client, with the type parameters of the type around it: %[1]s is the type, %[2]s what declares them.
func (s subject) one(member, relation string, promised bool, form string, more ...func(d *draft) string) {
	expansions := []bool{false}
	if len(s.all.params) > 0 {
		expansions = []bool{false, true}
	}
	for _, expanded := range expansions {
		d := s.g.draft()
		values := []any{s.name(d), s.all.write(d, expanded), s.all.args()}
		for _, m := range more {
			values = append(values, m(d))
		}
		d.add(form, values...)
		d.end(member, relation, promised)
	}
}

func written(t types.Type) func(*draft) string { return func(d *draft) string { return d.typ(t) } }

// alias says that both names are of one type.
func (g *generator) alias(o *types.TypeName, alias *types.Alias) {
	all := scope{}.with(alias.TypeParams())
	d := g.draft()
	name := d.name(o) + all.args()
	target := d.typ(alias.Rhs())
	d.add("func use%s(x *%s) *%s { return x }", all.write(d, false), name, target)
	d.end("", "identical", true)
}

func (s subject) declared() {
	s.one("", "declare", true, "func use%[2]s(x %[1]s, y *%[1]s, z []%[1]s) {}")
	s.one("", "define", true, "type mine%[2]s %[1]s")
	s.one("", "embed", true, "type mine%[2]s struct{ %[1]s }")
	s.one("", "embed", true, "type mine%[2]s struct{ *%[1]s }")
	s.one("", "assert", true, "func use%[2]s(x any) {\n\ty, ok := x.(%[1]s)\n\t_, _ = y, ok\n}")
	under := s.t.Underlying()
	if !s.o.IsAlias() {
		// Who lists a type and what it is made of has one case twice if the one becomes an alias of the other.
		s.one("", "switch", false, "func use%[2]s(x any) {\n\tswitch x.(type) {\n\tcase %[4]s:\n\tcase %[1]s:\n\t}\n}", written(under))
	}
	if types.Comparable(s.t) || len(s.all.params) > 0 {
		s.one("", "compare", true, "func use%[2]s(x, y %[1]s) bool { return x == y }")
		s.one("", "compare", true, "func use%[2]s(x map[%[1]s]int) {}")
	}
}

// operations is what can be done with a value of a kind; what the old version does not allow does not build and is dropped.
var operations = []string{
	"\t_ = x + x", "\t_ = x - x", "\t_ = x % x", "\t_ = x << 1", "\t_ = x < x", "\t_ = -x", "\t_ = !x", "\t_ = x[0]",
	"\t_ = len(x)", "\t_ = cap(x)", "\t_ = append(x, x...)", "\t_ = x[:1]", "\tx <- *new(%s)", "\t_ = <-x", "\tclose(x)",
	"\tfor range x {\n\t}", "\tfor k, v := range x {\n\t\t_, _ = k, v\n\t}", "\tx()", "\t_ = *x", "\t_ = x == nil",
	"\t_ = real(x)", "\tx = -1", "\tx = 1", "\tx = 1.5", "\tx = \"x\"", "\tx = true", "\tx = nil", "\tclear(x)", "\t_ = []byte(x)",
}

func (s subject) operate() {
	for _, operation := range operations {
		if strings.Contains(operation, "%s") {
			ch, ok := s.t.Underlying().(*types.Chan)
			if !ok {
				continue
			}
			s.one("", "operate", true, "func use%[2]s(x %[1]s, y %[4]s) {\n\tx <- y\n}", written(ch.Elem()))
			continue
		}
		text := strings.ReplaceAll(operation, "%", "%%")
		s.one("", "operate", true, "func use%[2]s(x %[1]s) {\n"+text+"\n}")
	}
}

// made uses what a type is made of.
func (s subject) made() {
	under := s.t.Underlying()
	relation, promised := "convert", true
	switch kind := under.(type) {
	case *types.Struct:
		relation, promised = "convert-struct", false
	case *types.Chan:
		// A channel of the same direction fits; a narrower one fits a type that has lost its direction no more.
		promised = kind.Dir() == types.SendRecv
	}
	if !s.o.IsAlias() {
		s.one("", relation, promised, "func use%[2]s(x %[4]s) %[1]s { return %[1]s(x) }", written(under))
		s.one("", relation, promised, "func use%[2]s(x %[1]s) %[4]s { return (%[4]s)(x) }", written(under))
	}
	if sig, ok := under.(*types.Signature); ok {
		s.one("", "assign", promised, "func use%[2]s(x %[4]s) %[1]s { return x }", written(under))
		s.g.calls("", bare(sig), s.all, false, func(*draft) string { return "r" }, s.self)
		return
	}
	switch under.(type) {
	case *types.Slice, *types.Map, *types.Pointer, *types.Array, *types.Chan:
		s.one("", "assign", promised, "func use%[2]s(x %[4]s) %[1]s { return x }", written(under))
		s.one("", "assign", promised, "func use%[2]s(x %[1]s) %[4]s { return x }", written(under))
	}
	if elem, ok := under.(interface{ Elem() types.Type }); ok {
		s.one("", "operate", true, "func use%[2]s(x %[1]s) {\n\tfor _, v := range x {\n\t\tvar e %[4]s = v\n\t\t_ = e\n\t}\n}", written(elem.Elem()))
	}
	if _, ok := under.(*types.Struct); !ok {
		s.operate()
	}
}

func (s subject) structs(structure *types.Struct) {
	var values, params []string
	open := structure.NumFields() > 0
	d := s.g.draft()
	for i := range structure.NumFields() {
		f := structure.Field(i)
		open = open && f.Exported()
		values = append(values, fmt.Sprintf("v%d", i))
		params = append(params, fmt.Sprintf("v%d %s", i, d.typ(f.Type())))
		if f.Exported() {
			s.field(f.Name(), f.Type(), true)
		}
	}
	if open {
		d.add("func use%s(%s) %s {\n\treturn %[3]s{%[4]s}\n}",
			s.all.write(d, false), strings.Join(params, ", "), s.name(d), strings.Join(values, ", "))
		d.end("", "unkeyed", false)
	}
	s.one("", "literal", true, "func use%[2]s() *%[1]s { return &%[1]s{} }")
	for name, t := range promotedFields(structure) {
		s.field(name, t, false)
	}
}

// promotedFields lists the exported fields that embedded structs bring, by name.
func promotedFields(structure *types.Struct) map[string]types.Type {
	found := map[string]types.Type{}
	direct := map[string]bool{}
	var look func(inner *types.Struct, depth int)
	look = func(inner *types.Struct, depth int) {
		for i := range inner.NumFields() {
			f := inner.Field(i)
			if depth == 0 {
				direct[f.Name()] = true
			} else if _, known := found[f.Name()]; f.Exported() && !known && !direct[f.Name()] {
				found[f.Name()] = f.Type()
			}
		}
		for i := range inner.NumFields() {
			if f := inner.Field(i); f.Embedded() && depth < 4 {
				if next := structOf(f.Type()); next != nil {
					look(next, depth+1)
				}
			}
		}
	}
	look(structure, 0)
	return found
}

func (s subject) field(name string, t types.Type, direct bool) {
	s.one(name, "read", true, "func use%[2]s(x %[1]s) %[4]s { return x."+name+" }", written(t))
	s.one(name, "assign", true, "func use%[2]s(x *%[1]s, y %[4]s) { x."+name+" = y }", written(t))
	s.one(name, "address", true, "func use%[2]s(x *%[1]s) *%[4]s { return &x."+name+" }", written(t))
	s.one(name, "select", true, "func use%[2]s(x *%[1]s) { _ = x."+name+" }")
	if direct {
		s.one(name, "literal", true, "func use%[2]s(y %[4]s) %[1]s { return %[1]s{"+name+": y} }", written(t))
	}
	if sig, ok := t.Underlying().(*types.Signature); ok {
		s.g.calls(name, bare(sig), s.all, false, func(*draft) string { return "r." + name }, "*"+s.self)
	}
}

// methods uses those of a value, and those that a pointer has beside them.
func (s subject) methods() {
	value := types.NewMethodSet(s.t)
	set := types.NewMethodSet(types.NewPointer(s.t))
	var ofValue, ofPointer []string
	dv, dp := s.g.draft(), s.g.draft()
	for i := range set.Len() {
		method, ok := set.At(i).Obj().(*types.Func)
		sig, fits := set.At(i).Type().(*types.Signature)
		if !ok || !fits || !method.Exported() {
			continue
		}
		name, receiver := method.Name(), "*"+s.self
		byValue := value.Lookup(method.Pkg(), name) != nil
		s.method(name, sig, receiver)
		s.one(name, "expression", true, "func use%[2]s() { _ = (*%[1]s)."+name+" }")
		if byValue {
			receiver = s.self
			s.method(name, sig, receiver)
			s.one(name, "expression", true, "func use%[2]s() { _ = (%[1]s)."+name+" }")
		}
		if sig.TypeParams().Len() > 0 {
			continue
		}
		s.one(name, "satisfy", true, "func use%[2]s(x "+star(!byValue)+"%[1]s) interface{ "+name+"%[4]s } { return x }", func(d *draft) string {
			return strings.TrimPrefix(d.typ(bare(sig)), "func")
		})
		if byValue {
			ofValue = append(ofValue, name+strings.TrimPrefix(dv.typ(bare(sig)), "func"))
		}
		ofPointer = append(ofPointer, name+strings.TrimPrefix(dp.typ(bare(sig)), "func"))
	}
	for _, one := range []struct {
		d       *draft
		methods []string
		star    string
	}{{dv, ofValue, ""}, {dp, ofPointer, "*"}} {
		if len(one.methods) > 0 {
			one.d.add("func use%s(x %s%s) interface {\n\t%s\n} {\n\treturn x\n}",
				s.all.write(one.d, false), one.star, s.name(one.d), strings.Join(one.methods, "\n\t"))
			one.d.end("", "satisfy", true)
		}
	}
	for _, i := range interfaces(s.g.pkg.Scope()) {
		iface := i.Type().Underlying().(*types.Interface)
		if i == s.o || len(s.all.params) > 0 {
			continue
		}
		prefix := ""
		if !types.Implements(s.t, iface) {
			if prefix = "*"; !types.Implements(types.NewPointer(s.t), iface) {
				continue
			}
		}
		d := s.g.draft()
		d.add("func use(x %s%s) %s { return x }", prefix, s.name(d), d.name(i))
		d.end("", "satisfy", true)
	}
}

func star(pointer bool) string {
	if pointer {
		return "*"
	}
	return ""
}

func (s subject) method(name string, sig *types.Signature, receiver string) {
	s.g.function(name, sig, s.all, func(*draft) string { return "r." + name }, receiver)
}

// beside embeds the type together with another one that has a member of the name that the new version adds. The promise of
// Go 1 leaves out this case (https://go.dev/doc/go1compat, "Methods").
func (s subject) beside() {
	for _, name := range s.g.q.Added {
		s.one(name, "beside", false, "type other struct{}\n\nfunc (other) "+name+
			"() {}\n\ntype mine%[2]s struct {\n\t%[1]s\n\tother\n}\n\nfunc use%[2]s(x mine%[3]s) { x."+name+"() }")
	}
}

func (s subject) interfaces(iface *types.Interface) {
	if !iface.IsMethodSet() {
		s.constraint(iface)
		return
	}
	var methods []string
	sealed := false
	d := s.g.draft()
	for i := range iface.NumMethods() {
		m := iface.Method(i)
		if !m.Exported() {
			sealed = true
			continue
		}
		sig := m.Type().(*types.Signature)
		s.method(m.Name(), sig, s.self)
		s.one(m.Name(), "expression", true, "func use%[2]s() { _ = (%[1]s)."+m.Name()+" }")
		methods = append(methods, m.Name()+strings.TrimPrefix(d.typ(bare(sig)), "func"))
	}
	if !sealed {
		impl := s.g.draft()
		name := s.name(impl)
		declared := s.all.write(impl, false)
		impl.add("type mine%s struct{}\n", declared)
		for i := range iface.NumMethods() {
			sig := bare(iface.Method(i).Type().(*types.Signature))
			impl.add("func (mine%s) %s%s { panic(0) }\n", s.all.args(), iface.Method(i).Name(), strings.TrimPrefix(impl.typ(sig), "func"))
		}
		impl.add("func use%s(x mine%s) %s { return x }", declared, s.all.args(), name)
		impl.end("", "implement", true)
	}
	if len(methods) > 0 {
		d.add("func use%s(x %s) interface {\n\t%s\n} {\n\treturn x\n}", s.all.write(d, false), s.name(d), strings.Join(methods, "\n\t"))
		d.end("", "satisfy", true)
	}
	s.one("", "constrain", true, "func g[X %[1]s](x X) {}\n\nfunc use(x %[1]s) { g(x) }")
	s.one("", "constrain", true, "func use[X %[1]s](x X) {}")
	s.one("", "compare", true, "func use%[2]s(x, y %[1]s) bool { return x == y && x != nil }")
	if len(s.all.params) == 0 {
		for _, i := range interfaces(s.g.pkg.Scope()) {
			if i != s.o && types.Implements(s.t, i.Type().Underlying().(*types.Interface)) {
				d := s.g.draft()
				d.add("func use(x %s) %s { return x }", s.name(d), d.name(i))
				d.end("", "satisfy", true)
			}
		}
	}
}

// constraint uses an interface that has a type set: in generic code, and with each type of it.
func (s subject) constraint(iface *types.Interface) {
	if len(s.all.params) > 0 {
		return
	}
	for _, operation := range operations {
		if !strings.Contains(operation, "%s") {
			s.one("", "constrain", true, "func use[X %[1]s](x X) {\n"+strings.ReplaceAll(operation, "%", "%%")+"\n}")
		}
	}
	s.one("", "constrain", true, "func use[X %[1]s](x, y X) bool { return x == y }")
	terms, everything := typeSet(iface)
	if everything {
		for _, t := range []string{"int", "string", "struct{}"} {
			s.one("", "instantiate", true, "func g[X %[1]s](x X) {}\n\nfunc use(x "+t+") { g(x) }")
		}
		return
	}
	for i, t := range terms {
		if i == 64 {
			break
		}
		s.one("", "instantiate", true, "func g[X %[1]s](x X) {}\n\nfunc use(x %[4]s) { g(x) }", written(t.typ))
		if t.tilde {
			s.one("", "instantiate", true, "type mine %[4]s\n\nfunc g[X %[1]s](x X) {}\n\nfunc use(x mine) { g(x) }", written(t.typ))
		}
	}
	s.one("", "constrain", true, "func g[X %[4]s](x X) {}\n\nfunc use[X %[1]s](x X) { g(x) }", written(iface))
}
