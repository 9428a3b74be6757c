package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"go/constant"
	"go/types"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// emitter writes the symbols of one package as seen by one target.
type emitter struct {
	l         *loader
	u         *unit
	pkg       *types.Package
	directory string                 // of the package, relative to the module
	mine      func(path string) bool // whether a package is of the module that is described
	buf       []byte
	current   string          // the id of the symbol at hand
	unknown   map[string]bool // facts of the symbol at hand that a stub hides
	pending   []*types.TypeName
	queued    map[*types.TypeName]bool
	exposes   map[string]bool // unexported and internal types of other packages of the module
	stubs     map[string]bool // packages behind which unknown facts are
	params    map[*types.TypeParam]paramRef
	locks     map[types.Type]bool

	ifaces      []*types.TypeName
	ifacesFound bool
}

type paramRef struct {
	index int
	owner string
}

// symbol is a declaration, encoded: what is hashed, and where it stands.
type symbol struct {
	id   string
	body []byte
	pos  string

	unknown bool // a fact of it is not known
}

func (e *emitter) str(text string)  { e.buf = appendString(e.buf, text) }
func (e *emitter) lit(text string)  { e.buf = append(e.buf, text...) }
func (e *emitter) unsure(s string)  { e.unknown[s] = true }
func (e *emitter) integer(n int64)  { e.buf = strconv.AppendInt(e.buf, n, 10) }
func (e *emitter) boolean(b bool)   { e.buf = strconv.AppendBool(e.buf, b) }
func (e *emitter) key(name string)  { e.lit(`,"`); e.lit(name); e.lit(`":`) }
func (e *emitter) flag(name string) { e.key(name); e.lit("true") }

func appendString(buf []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			encoded, _ := json.Marshal(text)
			return append(buf, encoded...)
		}
	}
	buf = append(buf, '"')
	buf = append(buf, text...)
	return append(buf, '"')
}

// symbols encodes all that is exported, and the unexported types that it mentions.
func (e *emitter) symbols() []symbol {
	scope := e.pkg.Scope()
	e.queued = map[*types.TypeName]bool{}
	e.exposes = map[string]bool{}
	e.stubs = map[string]bool{}
	var found []symbol
	for _, name := range scope.Names() {
		object := scope.Lookup(name)
		if object.Exported() {
			if tn, ok := object.(*types.TypeName); ok {
				e.queued[tn] = true
			}
			found = append(found, e.symbol(object))
		}
	}
	for len(e.pending) > 0 {
		tn := e.pending[0]
		e.pending = e.pending[1:]
		found = append(found, e.symbol(tn))
	}
	sort.Slice(found, func(i, j int) bool { return found[i].id < found[j].id })
	return found
}

func (e *emitter) symbol(object types.Object) symbol {
	e.buf = e.buf[:0]
	e.unknown = map[string]bool{}
	id := e.u.path + "." + object.Name()
	e.current = id
	e.lit(`{"record":"symbol","id":`)
	e.str(id)
	e.params = nil
	switch o := object.(type) {
	case *types.Func:
		e.lit(`,"kind":"func","type":`)
		e.signature(o.Type().(*types.Signature), "func")
	case *types.Var:
		e.lit(`,"kind":"var","type":`)
		e.typ(o.Type())
	case *types.Const:
		e.lit(`,"kind":"const","type":`)
		e.typ(o.Type())
		if o.Val() != nil && o.Val().Kind() != constant.Unknown {
			e.key("value")
			e.str(o.Val().ExactString())
		} else {
			e.unsure("value")
		}
	case *types.TypeName:
		e.typeName(o)
	}
	if !object.Exported() {
		e.lit(`,"exported":false`)
	}
	at := e.u.fset.Position(object.Pos())
	for _, s := range e.u.files {
		if s.deprecated != nil && filepath.Base(at.Filename) == s.name && s.deprecated[at.Line-1] {
			e.flag("deprecated")
		}
	}
	if len(e.unknown) > 0 {
		facts := make([]string, 0, len(e.unknown))
		for fact := range e.unknown {
			facts = append(facts, fact)
		}
		sort.Strings(facts)
		e.lit(`,"grade":"stubbed","unknown":[`)
		for i, fact := range facts {
			if i > 0 {
				e.lit(",")
			}
			e.str(fact)
		}
		e.lit("]")
	}
	pos := ""
	if at.Line > 0 {
		pos = path.Join(e.directory, filepath.Base(at.Filename)) + ":" + strconv.Itoa(at.Line)
	}
	return symbol{id, bytes.Clone(e.buf), pos, len(e.unknown) > 0}
}

func (e *emitter) typeName(o *types.TypeName) {
	e.lit(`,"kind":"type"`)
	if o.IsAlias() {
		alias, generic := o.Type().(*types.Alias)
		if generic && alias.TypeParams().Len() > 0 {
			e.typeParams(alias.TypeParams(), "type")
		}
		e.lit(`,"alias":true,"type":`)
		target := types.Unalias(o.Type())
		if generic {
			target = types.Unalias(alias.Rhs())
		}
		if named, ok := target.(*types.Named); ok && e.l.isStub(named.Obj().Pkg()) {
			e.unsure("type")
			e.stubs[named.Obj().Pkg().Path()] = true
		}
		e.typ(target)
		if named, ok := target.(*types.Named); ok && named.Obj().Pkg() != nil && !e.mine(named.Obj().Pkg().Path()) {
			e.lit(`,"underlying":`)
			e.typ(named.Underlying())
			if _, isInterface := named.Underlying().(*types.Interface); !isInterface {
				e.methods(named)
				e.key("comparable")
				e.str(e.comparable(named, nil))
			}
		}
		return
	}
	named, ok := o.Type().(*types.Named)
	if !ok { // a declaration that could not be checked
		e.lit(`,"type":`)
		e.typ(o.Type())
		return
	}
	if named.TypeParams().Len() > 0 {
		e.typeParams(named.TypeParams(), "type")
	}
	e.lit(`,"type":`)
	e.typ(named.Underlying())
	if _, isInterface := named.Underlying().(*types.Interface); isInterface {
		e.implements(named)
		return
	}
	e.methods(named)
	e.key("comparable")
	e.str(e.comparable(named, nil))
	if e.hasLock(named) {
		e.flag("lock")
	}
	e.implements(named)
}

// typeParams declares type parameters; they are referred to by index, so that a new name is no change.
func (e *emitter) typeParams(list *types.TypeParamList, owner string) {
	e.register(list, owner)
	e.key("typeparams")
	e.lit("[")
	for i := range list.Len() {
		if i > 0 {
			e.lit(",")
		}
		p := list.At(i)
		e.lit(`{"name":`)
		e.str(p.Obj().Name())
		e.lit(`,"constraint":`)
		e.typ(p.Constraint())
		e.lit("}")
	}
	e.lit("]")
}

func (e *emitter) register(list *types.TypeParamList, owner string) {
	if e.params == nil {
		e.params = map[*types.TypeParam]paramRef{}
	}
	for i := range list.Len() {
		e.params[list.At(i)] = paramRef{i, owner}
	}
}

type methodRecord struct {
	name    string
	pointer bool
	from    string
	sig     *types.Signature
}

// methods writes the method set of *T with, for each, whether T lacks it, and the embedded field it is promoted from.
// Promoted fields follow.
func (e *emitter) methods(named *types.Named) {
	var records []methodRecord
	structure, isStruct := named.Underlying().(*types.Struct)
	embeds := false
	if isStruct {
		for i := range structure.NumFields() {
			embeds = embeds || structure.Field(i).Embedded()
		}
	}
	if !embeds {
		for i := range named.NumMethods() {
			m := named.Method(i)
			sig := m.Type().(*types.Signature)
			e.register(sig.RecvTypeParams(), "type")
			_, pointer := types.Unalias(sig.Recv().Type()).(*types.Pointer)
			if m.Exported() {
				records = append(records, methodRecord{m.Name(), pointer, "", sig})
			}
		}
	} else {
		for i := range named.NumMethods() {
			e.register(named.Method(i).Type().(*types.Signature).RecvTypeParams(), "type")
		}
		value := types.NewMethodSet(named)
		set := types.NewMethodSet(types.NewPointer(named))
		for i := range set.Len() {
			sel := set.At(i)
			if !sel.Obj().Exported() {
				continue
			}
			from := ""
			if path := sel.Index(); len(path) > 1 {
				from = fieldPath(structure, path[:len(path)-1])
			}
			sig, ok := sel.Type().(*types.Signature)
			if !ok {
				continue
			}
			pointer := value.Lookup(sel.Obj().Pkg(), sel.Obj().Name()) == nil
			records = append(records, methodRecord{sel.Obj().Name(), pointer, from, sig})
		}
	}
	sort.Slice(records, func(i, j int) bool { return records[i].name < records[j].name })
	if len(records) > 0 {
		e.key("methods")
		e.lit("[")
		for i, m := range records {
			if i > 0 {
				e.lit(",")
			}
			e.lit(`{"name":`)
			e.str(m.name)
			if m.pointer {
				e.lit(`,"pointer":true`)
			}
			if m.from != "" {
				e.lit(`,"from":`)
				e.str(m.from)
			}
			e.lit(`,"type":`)
			e.signature(m.sig, "method")
			e.lit("}")
		}
		e.lit("]")
	}
	if embeds {
		e.promoted(named, structure)
	}
}

func fieldPath(structure *types.Struct, path []int) string {
	var names []string
	for _, index := range path {
		if structure == nil {
			break
		}
		field := structure.Field(index)
		names = append(names, field.Name())
		structure = structOf(field.Type())
	}
	return strings.Join(names, ".")
}

func structOf(t types.Type) *types.Struct {
	t = types.Unalias(t)
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	s, _ := t.Underlying().(*types.Struct)
	return s
}

// promoted writes the exported fields that are selected through embedded ones.
func (e *emitter) promoted(named *types.Named, structure *types.Struct) {
	names := map[string]bool{}
	e.collect(structure, 0, map[*types.Struct]bool{}, names)
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	sort.Strings(sorted)
	first := true
	for _, name := range sorted {
		object, index, _ := types.LookupFieldOrMethod(named, true, e.pkg, name)
		field, ok := object.(*types.Var)
		if !ok || len(index) < 2 {
			continue
		}
		if first {
			e.key("promoted")
			e.lit("[")
		} else {
			e.lit(",")
		}
		first = false
		e.lit(`{"name":`)
		e.str(name)
		e.lit(`,"from":`)
		e.str(fieldPath(structure, index[:len(index)-1]))
		e.lit(`,"type":`)
		e.typ(field.Type())
		e.lit("}")
	}
	if !first {
		e.lit("]")
	}
}

func (e *emitter) collect(structure *types.Struct, depth int, seen map[*types.Struct]bool, names map[string]bool) {
	if seen[structure] {
		return
	}
	seen[structure] = true
	for i := range structure.NumFields() {
		field := structure.Field(i)
		if depth > 0 && field.Exported() {
			names[field.Name()] = true
		}
		if !field.Embedded() {
			continue
		}
		t := types.Unalias(field.Type())
		if p, ok := t.(*types.Pointer); ok {
			t = types.Unalias(p.Elem())
		}
		if n, ok := t.(*types.Named); ok && e.l.isStub(n.Obj().Pkg()) || t == types.Typ[types.Invalid] {
			e.unsure("promoted")
			if ok {
				e.stubs[n.Obj().Pkg().Path()] = true
			}
		}
		if inner := structOf(field.Type()); inner != nil {
			e.collect(inner, depth+1, seen, names)
		}
	}
}

const (
	notComparable = "no"
	mayPanic      = "may_panic"
	strictly      = "strict"
)

// comparable tells how == works: not at all; with a panic for some dynamic values of an interface; always
// (Go specification, Comparison operators).
func (e *emitter) comparable(t types.Type, seen map[types.Type]bool) string {
	if named, ok := types.Unalias(t).(*types.Named); ok {
		if e.l.isStub(named.Obj().Pkg()) {
			e.unsure("comparable")
			e.stubs[named.Obj().Pkg().Path()] = true
		}
		if seen[t] {
			return strictly
		}
		if seen == nil {
			seen = map[types.Type]bool{}
		}
		seen[t] = true
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		if u.Kind() == types.Invalid {
			e.unsure("comparable")
		}
		return strictly
	case *types.Slice, *types.Map, *types.Signature:
		return notComparable
	case *types.Interface:
		return mayPanic
	case *types.Array:
		return e.comparable(u.Elem(), seen)
	case *types.Struct:
		worst := strictly
		for i := range u.NumFields() {
			switch e.comparable(u.Field(i).Type(), seen) {
			case notComparable:
				return notComparable
			case mayPanic:
				worst = mayPanic
			}
		}
		return worst
	}
	return strictly
}

// hasLock tells whether a copy of the type copies a lock, as vet's copylocks does.
func (e *emitter) hasLock(t types.Type) bool {
	t = types.Unalias(t)
	if known, ok := e.locks[t]; ok {
		return known
	}
	if e.locks == nil {
		e.locks = map[types.Type]bool{}
	}
	e.locks[t] = false
	result := false
	if named, ok := t.(*types.Named); ok {
		lock, unlock := false, false
		for i := range named.NumMethods() {
			m := named.Method(i)
			sig := m.Type().(*types.Signature)
			if sig.Params().Len() == 0 && sig.Results().Len() == 0 {
				if _, pointer := types.Unalias(sig.Recv().Type()).(*types.Pointer); pointer {
					lock = lock || m.Name() == "Lock"
					unlock = unlock || m.Name() == "Unlock"
				}
			}
		}
		result = lock && unlock
	}
	if !result {
		switch u := t.Underlying().(type) {
		case *types.Struct:
			for i := range u.NumFields() {
				if e.hasLock(u.Field(i).Type()) {
					result = true
					break
				}
			}
		case *types.Array:
			result = e.hasLock(u.Elem())
		}
	}
	e.locks[t] = result
	return result
}

// implements names the exported interfaces of the same package that T or *T implements. Losing one shows in nothing else
// where the method that is missing cannot be written by others, or where the interface gained one.
func (e *emitter) implements(named *types.Named) {
	if named.TypeParams().Len() > 0 {
		return
	}
	if !e.ifacesFound {
		e.ifaces, e.ifacesFound = interfaces(e.pkg.Scope()), true
	}
	first := true
	for _, i := range e.ifaces {
		if i == named.Obj() {
			continue
		}
		iface := i.Type().Underlying().(*types.Interface)
		how := ""
		if types.Implements(named, iface) {
			how = "value"
		} else if types.Implements(types.NewPointer(named), iface) {
			how = "pointer"
		}
		if how == "" {
			continue
		}
		if first {
			e.key("implements")
			e.lit("[")
		} else {
			e.lit(",")
		}
		first = false
		e.lit(`{"interface":`)
		e.str(e.u.path + "." + i.Name())
		e.lit(`,"by":"` + how + `"}`)
	}
	if !first {
		e.lit("]")
	}
}

// interfaces lists a package's exported interfaces that have methods and can be the type of a variable.
func interfaces(scope *types.Scope) []*types.TypeName {
	var found []*types.TypeName
	for _, name := range scope.Names() {
		tn, ok := scope.Lookup(name).(*types.TypeName)
		if !ok || !tn.Exported() || tn.IsAlias() {
			continue
		}
		named, ok := tn.Type().(*types.Named)
		if !ok || named.TypeParams().Len() > 0 {
			continue
		}
		if iface, ok := named.Underlying().(*types.Interface); ok && iface.NumMethods() > 0 && iface.IsMethodSet() {
			found = append(found, tn)
		}
	}
	return found
}

// hash is over the symbols without their places.
func hash(symbols []symbol) string {
	h := sha256.New()
	for _, s := range symbols {
		h.Write(s.body)
		h.Write([]byte{'\n'})
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
