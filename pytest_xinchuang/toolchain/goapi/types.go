package main

import (
	"go/types"
	"sort"
	"strings"
)

// typ writes a type as a tree. Aliases are looked through: they are the types that they stand for.
func (e *emitter) typ(t types.Type) {
	switch t := types.Unalias(t).(type) {
	case *types.Basic:
		if t.Kind() == types.Invalid {
			e.lit(`{"kind":"unknown"}`)
			e.unsure("type")
			return
		}
		name := t.Name()
		switch name { // two spellings of one type
		case "byte":
			name = "uint8"
		case "rune":
			name = "int32"
		}
		e.lit(`{"kind":"basic","name":`)
		e.str(name)
		e.lit("}")
	case *types.Named:
		e.named(t)
	case *types.Pointer:
		e.lit(`{"kind":"pointer","elem":`)
		e.typ(t.Elem())
		e.lit("}")
	case *types.Slice:
		e.lit(`{"kind":"slice","elem":`)
		e.typ(t.Elem())
		e.lit("}")
	case *types.Array:
		e.lit(`{"kind":"array","length":`)
		e.integer(t.Len())
		e.lit(`,"elem":`)
		e.typ(t.Elem())
		e.lit("}")
	case *types.Map:
		e.lit(`{"kind":"map","key":`)
		e.typ(t.Key())
		e.lit(`,"elem":`)
		e.typ(t.Elem())
		e.lit("}")
	case *types.Chan:
		direction := map[types.ChanDir]string{types.SendRecv: "both", types.SendOnly: "send", types.RecvOnly: "receive"}[t.Dir()]
		e.lit(`{"kind":"chan","direction":"` + direction + `","elem":`)
		e.typ(t.Elem())
		e.lit("}")
	case *types.Signature:
		e.signature(t, "func")
	case *types.Struct:
		e.structure(t)
	case *types.Interface:
		e.iface(t)
	case *types.TypeParam:
		ref, ok := e.params[t]
		if !ok {
			ref = paramRef{t.Index(), "type"}
		}
		e.lit(`{"kind":"typeparam","of":"` + ref.owner + `","index":`)
		e.integer(int64(ref.index))
		e.lit("}")
	case *types.Union:
		e.lit(`{"kind":"interface","terms":`)
		e.terms(unionTerms(t))
		e.lit("}")
	case *types.Tuple:
		e.lit(`{"kind":"tuple","elems":`)
		e.tuple(t)
		e.lit("}")
	default:
		e.lit(`{"kind":"unknown"}`)
		e.unsure("type")
	}
}

func (e *emitter) named(t *types.Named) {
	object := t.Obj()
	pkg := object.Pkg()
	if pkg == nil { // error, comparable
		e.lit(`{"kind":"basic","name":`)
		e.str(object.Name())
		e.lit("}")
		return
	}
	path := pkg.Path()
	e.lit(`{"kind":"named","package":`)
	e.str(path)
	e.lit(`,"name":`)
	e.str(object.Name())
	if args := t.TypeArgs(); args.Len() > 0 {
		e.lit(`,"args":[`)
		for i := range args.Len() {
			if i > 0 {
				e.lit(",")
			}
			e.typ(args.At(i))
		}
		e.lit("]")
	}
	e.lit("}")
	origin := t.Origin().Obj()
	if pkg == e.pkg {
		if !object.Exported() && !e.queued[origin] && origin.Parent() == pkg.Scope() {
			e.queued[origin] = true
			e.pending = append(e.pending, origin)
		}
	} else if e.mine(path) && (!object.Exported() || isInternal(path)) {
		e.exposes[path+"."+object.Name()] = true
	}
}

func isInternal(path string) bool {
	return path == "internal" || strings.HasPrefix(path, "internal/") || strings.HasSuffix(path, "/internal") ||
		strings.Contains(path, "/internal/")
}

func (e *emitter) signature(sig *types.Signature, owner string) {
	e.lit(`{"kind":"func"`)
	if sig.TypeParams().Len() > 0 {
		e.typeParams(sig.TypeParams(), owner)
	}
	if sig.Params().Len() > 0 {
		e.lit(`,"params":`)
		e.tuple(sig.Params())
	}
	if sig.Variadic() {
		e.lit(`,"variadic":true`)
	}
	if sig.Results().Len() > 0 {
		e.lit(`,"results":`)
		e.tuple(sig.Results())
	}
	e.lit("}")
}

func (e *emitter) tuple(t *types.Tuple) {
	e.lit("[")
	for i := range t.Len() {
		if i > 0 {
			e.lit(",")
		}
		e.typ(t.At(i).Type())
	}
	e.lit("]")
}

// structure writes the exported and the embedded fields, in order; of the others only that they are there.
func (e *emitter) structure(t *types.Struct) {
	e.lit(`{"kind":"struct","fields":[`)
	first, hidden := true, false
	for i := range t.NumFields() {
		field := t.Field(i)
		if !field.Exported() {
			hidden = true
			continue
		}
		if !first {
			e.lit(",")
		}
		first = false
		e.lit(`{"name":`)
		e.str(field.Name())
		if field.Embedded() {
			e.lit(`,"embedded":true`)
		}
		if tag := t.Tag(i); tag != "" {
			e.lit(`,"tag":`)
			e.str(tag)
		}
		e.lit(`,"type":`)
		e.typ(field.Type())
		e.lit("}")
	}
	e.lit("]")
	if hidden {
		e.lit(`,"hidden":true`)
	}
	e.lit("}")
}

type term struct {
	tilde bool
	typ   types.Type
}

// typeSet flattens the unions of an interface and of what it embeds; all is true when there are none.
func typeSet(iface *types.Interface) (terms []term, all bool) {
	all = true
	for i := range iface.NumEmbeddeds() {
		var part []term
		partAll := false
		switch t := types.Unalias(iface.EmbeddedType(i)).(type) {
		case *types.Union:
			part = unionTerms(t)
		default:
			if inner, ok := t.Underlying().(*types.Interface); ok {
				part, partAll = typeSet(inner)
			} else {
				part = []term{{false, t}}
			}
		}
		if partAll {
			continue
		}
		if all {
			terms, all = part, false
		} else {
			terms = intersect(terms, part)
		}
	}
	return terms, all
}

func unionTerms(u *types.Union) []term {
	var found []term
	for i := range u.Len() {
		t := u.Term(i)
		if inner, ok := t.Type().Underlying().(*types.Interface); ok && !t.Tilde() {
			part, all := typeSet(inner)
			if all {
				return nil
			}
			found = append(found, part...)
			continue
		}
		found = append(found, term{t.Tilde(), t.Type()})
	}
	return found
}

func intersect(a, b []term) []term {
	var found []term
	for _, x := range a {
		for _, y := range b {
			switch {
			case types.Identical(x.typ, y.typ):
				found = append(found, term{x.tilde && y.tilde, x.typ})
			case y.tilde && types.Identical(x.typ.Underlying(), y.typ):
				found = append(found, x)
			case x.tilde && types.Identical(y.typ.Underlying(), x.typ):
				found = append(found, y)
			}
		}
	}
	return found
}

func (e *emitter) terms(terms []term) {
	encoded := make([]string, 0, len(terms))
	for _, t := range terms {
		from := len(e.buf)
		e.lit(`{"tilde":`)
		e.boolean(t.tilde)
		e.lit(`,"type":`)
		e.typ(t.typ)
		e.lit("}")
		encoded = append(encoded, string(e.buf[from:]))
		e.buf = e.buf[:from]
	}
	sort.Strings(encoded)
	e.lit("[" + strings.Join(encoded, ",") + "]")
}

func (e *emitter) iface(t *types.Interface) {
	e.lit(`{"kind":"interface"`)
	var methods []*types.Func
	var hidden []string
	for i := range t.NumMethods() {
		if m := t.Method(i); m.Exported() {
			methods = append(methods, m)
		} else {
			hidden = append(hidden, m.Name())
		}
	}
	for i := range t.NumEmbeddeds() {
		if named, ok := types.Unalias(t.EmbeddedType(i)).(*types.Named); ok && e.l.isStub(named.Obj().Pkg()) {
			e.unsure("methods")
			e.stubs[named.Obj().Pkg().Path()] = true
		}
	}
	sort.Slice(methods, func(i, j int) bool { return methods[i].Name() < methods[j].Name() })
	if len(methods) > 0 {
		e.key("methods")
		e.lit("[")
		for i, m := range methods {
			if i > 0 {
				e.lit(",")
			}
			e.lit(`{"name":`)
			e.str(m.Name())
			sig := m.Type().(*types.Signature)
			if from := declaredBy(sig); from != "" && from != e.current {
				e.lit(`,"from":`)
				e.str(from)
			}
			e.lit(`,"type":`)
			e.signature(sig, "method")
			e.lit("}")
		}
		e.lit("]")
	}
	if len(hidden) > 0 {
		sort.Strings(hidden)
		e.key("hidden")
		e.lit("[")
		for i, name := range hidden {
			if i > 0 {
				e.lit(",")
			}
			e.str(name)
		}
		e.lit("]")
	}
	if t.IsComparable() {
		e.flag("comparable")
	}
	if terms, all := typeSet(t); !all {
		e.key("terms")
		e.terms(terms)
	}
	e.lit("}")
}

// declaredBy is the named interface that a method of an interface stands in.
func declaredBy(sig *types.Signature) string {
	if sig.Recv() == nil {
		return ""
	}
	named, ok := types.Unalias(sig.Recv().Type()).(*types.Named)
	if !ok || named.Obj().Pkg() == nil {
		return ""
	}
	return named.Obj().Pkg().Path() + "." + named.Obj().Name()
}
