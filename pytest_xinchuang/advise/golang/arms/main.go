// Command arms prints, as JSON, where Go sources decide by runtime.GOARCH and refuse an architecture that they are asked for, and
// do not refuse another.
//
//	arms GOARCH OTHER FILE...
//
// Nothing is run: conditions of runtime.GOARCH, constants and tables of the same file are evaluated for both. To refuse is to
// panic, to end the process, or to return an error that is made on the spot.
package main

import (
	"encoding/json"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
)

type refusal struct {
	File string `json:"file"`
	Line int    `json:"line"`
	In   string `json:"in"`
	Does string `json:"does"`
}

// reader knows one file as one architecture has it.
type reader struct {
	arch   string
	values map[string]ast.Expr
}

func main() {
	found := []refusal{}
	for _, name := range os.Args[3:] {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			continue
		}
		values := map[string]ast.Expr{}
		for _, declaration := range file.Decls {
			general, ok := declaration.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range general.Specs {
				if value, ok := spec.(*ast.ValueSpec); ok && len(value.Names) == len(value.Values) {
					for index, name := range value.Names {
						values[name.Name] = value.Values[index]
					}
				}
			}
		}
		here, there := reader{os.Args[1], values}, reader{os.Args[2], values}
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Body == nil {
				continue
			}
			ast.Inspect(function.Body, func(node ast.Node) bool {
				block := statements(node)
				for index := range block {
					at, does := here.refuses(block[index:], block[index])
					_, other := there.refuses(block[index:], block[index])
					if does != "" && other == "" && decides(block[index]) {
						found = append(found, refusal{name, files.Position(at).Line, function.Name.Name, does})
					}
				}
				return true
			})
		}
	}
	json.NewEncoder(os.Stdout).Encode(found)
}

func statements(node ast.Node) []ast.Stmt {
	switch node := node.(type) {
	case *ast.BlockStmt:
		return node.List
	case *ast.CaseClause:
		return node.Body
	}
	return nil
}

// decides: whether a statement chooses between others.
func decides(statement ast.Stmt) bool {
	switch statement.(type) {
	case *ast.IfStmt, *ast.SwitchStmt:
		return true
	}
	return false
}

// refuses says where and how what an architecture comes to refuses it: in the arm that it takes, or behind arms that all others
// leave by.
func (r reader) refuses(block []ast.Stmt, first ast.Stmt) (token.Pos, string) {
	arm, known := r.arm(first)
	if !known {
		return 0, ""
	}
	for _, statement := range arm {
		if decides(statement) {
			if at, does := r.refuses([]ast.Stmt{statement}, statement); does != "" {
				return at, does
			}
		}
		if does := refusing(statement); does != "" {
			return statement.Pos(), does
		}
	}
	if len(arm) == 0 && len(block) > 1 {
		if does := refusing(block[1]); does != "" {
			return block[1].Pos(), does
		}
	}
	return 0, ""
}

// arm returns the statements that an architecture comes to; false: it cannot be said.
func (r reader) arm(statement ast.Stmt) ([]ast.Stmt, bool) {
	switch statement := statement.(type) {
	case *ast.IfStmt:
		condition := r.value(statement.Cond, statement.Init)
		if condition.Kind() != constant.Bool {
			return nil, false
		}
		if constant.BoolVal(condition) {
			return statement.Body.List, true
		}
		switch otherwise := statement.Else.(type) {
		case *ast.BlockStmt:
			return otherwise.List, true
		case *ast.IfStmt:
			return r.arm(otherwise)
		}
		return nil, true
	case *ast.SwitchStmt:
		tag := constant.MakeBool(true)
		if statement.Tag != nil {
			tag = r.value(statement.Tag, statement.Init)
		}
		if tag.Kind() == constant.Unknown {
			return nil, false
		}
		var other []ast.Stmt
		for _, clause := range statement.Body.List {
			clause := clause.(*ast.CaseClause)
			if clause.List == nil {
				other = clause.Body
			}
			for _, expression := range clause.List {
				value := r.value(expression, nil)
				if value.Kind() != tag.Kind() {
					return nil, false
				}
				if constant.Compare(value, token.EQL, tag) {
					return clause.Body, true
				}
			}
		}
		return other, true
	}
	return nil, false
}

var unknown = constant.MakeUnknown()

// value evaluates an expression of runtime.GOARCH.
func (r reader) value(expression ast.Expr, init ast.Stmt) constant.Value {
	switch e := expression.(type) {
	case *ast.ParenExpr:
		return r.value(e.X, init)
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0)
	case *ast.SelectorExpr:
		if name, ok := e.X.(*ast.Ident); ok && name.Name == "runtime" {
			switch e.Sel.Name {
			case "GOARCH":
				return constant.MakeString(r.arch)
			case "GOOS":
				return constant.MakeString("linux")
			}
		}
	case *ast.Ident:
		if e.Name == "true" || e.Name == "false" {
			return constant.MakeBool(e.Name == "true")
		}
		// if _, ok := table[runtime.GOARCH]; !ok
		if given, ok := init.(*ast.AssignStmt); ok && len(given.Rhs) == 1 {
			for index, left := range given.Lhs {
				if name, ok := left.(*ast.Ident); !ok || name.Name != e.Name {
					continue
				}
				if index == 0 {
					return r.value(given.Rhs[0], nil)
				}
				if entry, ok := given.Rhs[0].(*ast.IndexExpr); ok {
					if _, there, known := r.entry(entry); known {
						return constant.MakeBool(there)
					}
				}
				return unknown
			}
		}
		if value, ok := r.values[e.Name]; ok && !composite(value) {
			return r.value(value, nil)
		}
	case *ast.IndexExpr:
		if value, there, known := r.entry(e); known && there {
			return r.value(value, nil)
		} else if known {
			return constant.MakeBool(false)
		}
	case *ast.UnaryExpr:
		if value := r.value(e.X, init); e.Op == token.NOT && value.Kind() == constant.Bool {
			return constant.MakeBool(!constant.BoolVal(value))
		}
	case *ast.BinaryExpr:
		return r.binary(e, init)
	case *ast.CallExpr:
		return r.call(e)
	}
	return unknown
}

func (r reader) binary(e *ast.BinaryExpr, init ast.Stmt) constant.Value {
	left, right := r.value(e.X, init), r.value(e.Y, init)
	switch e.Op {
	case token.LAND, token.LOR:
		decisive := constant.MakeBool(e.Op == token.LOR)
		for _, side := range []constant.Value{left, right} {
			if side.Kind() == constant.Bool && constant.Compare(side, token.EQL, decisive) {
				return decisive
			}
		}
		if left.Kind() == constant.Bool && right.Kind() == constant.Bool {
			return constant.MakeBool(e.Op == token.LAND)
		}
	case token.EQL, token.NEQ:
		if left.Kind() != constant.Unknown && left.Kind() == right.Kind() {
			return constant.MakeBool(constant.Compare(left, e.Op, right))
		}
	}
	return unknown
}

// call evaluates functions of the packages strings and slices.
func (r reader) call(e *ast.CallExpr) constant.Value {
	chosen, ok := e.Fun.(*ast.SelectorExpr)
	if !ok || len(e.Args) != 2 {
		return unknown
	}
	home, ok := chosen.X.(*ast.Ident)
	if !ok {
		return unknown
	}
	second := r.value(e.Args[1], nil)
	if home.Name == "slices" && chosen.Sel.Name == "Contains" {
		list, ok := r.literal(e.Args[0])
		if !ok || second.Kind() == constant.Unknown {
			return unknown
		}
		for _, element := range list.Elts {
			if value := r.value(element, nil); value.Kind() == second.Kind() && constant.Compare(value, token.EQL, second) {
				return constant.MakeBool(true)
			}
		}
		return constant.MakeBool(false)
	}
	first := r.value(e.Args[0], nil)
	if home.Name != "strings" || first.Kind() != constant.String || second.Kind() != constant.String {
		return unknown
	}
	tests := map[string]func(string, string) bool{
		"HasPrefix": strings.HasPrefix, "HasSuffix": strings.HasSuffix, "Contains": strings.Contains, "EqualFold": strings.EqualFold,
	}
	if test, ok := tests[chosen.Sel.Name]; ok {
		return constant.MakeBool(test(constant.StringVal(first), constant.StringVal(second)))
	}
	return unknown
}

// entry looks up a table of the same file.
func (r reader) entry(e *ast.IndexExpr) (ast.Expr, bool, bool) {
	list, ok := r.literal(e.X)
	key := r.value(e.Index, nil)
	if !ok || key.Kind() != constant.String {
		return nil, false, false
	}
	for _, element := range list.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return nil, false, false
		}
		if name, ok := pair.Key.(*ast.BasicLit); ok {
			if plain, err := strconv.Unquote(name.Value); err == nil && plain == constant.StringVal(key) {
				return pair.Value, true, true
			}
			continue
		}
		return nil, false, false
	}
	return nil, false, true
}

func (r reader) literal(e ast.Expr) (*ast.CompositeLit, bool) {
	if name, ok := e.(*ast.Ident); ok {
		e = r.values[name.Name]
	}
	list, ok := e.(*ast.CompositeLit)
	return list, ok
}

func composite(e ast.Expr) bool {
	_, ok := e.(*ast.CompositeLit)
	return ok
}

// refusing says how a statement refuses; "" where it does not.
func refusing(statement ast.Stmt) string {
	switch statement := statement.(type) {
	case *ast.ExprStmt:
		call, ok := statement.X.(*ast.CallExpr)
		if !ok {
			return ""
		}
		name := called(call)
		if name == "panic" || strings.HasPrefix(name, "log.Panic") {
			return "panic"
		}
		if strings.HasPrefix(name, "log.Fatal") || name == "os.Exit" && !zero(call) {
			return "exit"
		}
	case *ast.ReturnStmt:
		if len(statement.Results) == 0 {
			return ""
		}
		switch last := statement.Results[len(statement.Results)-1].(type) {
		case *ast.CallExpr:
			if name := called(last); name == "errors.New" || name == "fmt.Errorf" {
				return "error"
			}
		case *ast.Ident:
			if strings.HasPrefix(last.Name, "Err") || strings.HasPrefix(last.Name, "err") && len(last.Name) > 3 {
				return "error"
			}
		case *ast.SelectorExpr:
			if strings.HasPrefix(last.Sel.Name, "Err") {
				return "error"
			}
		}
	}
	return ""
}

func called(call *ast.CallExpr) string {
	switch function := call.Fun.(type) {
	case *ast.Ident:
		return function.Name
	case *ast.SelectorExpr:
		if home, ok := function.X.(*ast.Ident); ok {
			return home.Name + "." + function.Sel.Name
		}
	}
	return ""
}

func zero(call *ast.CallExpr) bool {
	if len(call.Args) != 1 {
		return false
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	return ok && literal.Value == "0"
}
