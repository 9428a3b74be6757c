// Command golayout prints, as JSON, where the fields of a Go package's structures are: for one architecture, by the
// compiler's own rules (go/types.SizesFor).
//
//	golayout GOARCH DIRECTORY
//
// Structures within structures are taken apart to their last fields; imports that cannot be read are left open, and a
// structure that needs one is listed under "open".
package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
)

type field struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
}

type structure struct {
	Size   int64   `json:"size"`
	Align  int64   `json:"align"`
	Fields []field `json:"fields"`
}

type answer struct {
	Structs map[string]structure `json:"structs"`
	Open    map[string]string    `json:"open"`
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}

func main() {
	if len(os.Args) != 3 {
		fail("usage: golayout GOARCH DIRECTORY")
	}
	arch, directory := os.Args[1], os.Args[2]
	context := build.Default
	context.GOOS, context.GOARCH, context.CgoEnabled = "linux", arch, true
	found, err := context.ImportDir(directory, 0)
	if err != nil {
		fail("%v", err)
	}
	files := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range append(append([]string{}, found.GoFiles...), found.CgoFiles...) {
		file, err := parser.ParseFile(files, filepath.Join(directory, name), nil, parser.SkipObjectResolution)
		if err != nil {
			fail("%v", err)
		}
		parsed = append(parsed, file)
	}
	sizes := types.SizesFor("gc", arch)
	if sizes == nil {
		fail("the Go compiler knows no %s", arch)
	}
	build.Default = context
	config := types.Config{
		Importer: importer.ForCompiler(files, "source", nil), Sizes: sizes, FakeImportC: true, IgnoreFuncBodies: true,
		Error: func(error) {},
	}
	checked, _ := config.Check(found.Name, files, parsed, nil)
	result := answer{map[string]structure{}, map[string]string{}}
	scope := checked.Scope()
	for _, name := range scope.Names() {
		object, ok := scope.Lookup(name).(*types.TypeName)
		if !ok {
			continue
		}
		under, ok := object.Type().Underlying().(*types.Struct)
		if !ok {
			continue
		}
		if why := unresolved(under); why != "" {
			result.Open[name] = why
			continue
		}
		result.Structs[name] = structure{sizes.Sizeof(under), sizes.Alignof(under), flatten(sizes, under, "", 0)}
	}
	json.NewEncoder(os.Stdout).Encode(result)
}

// unresolved says which field has a type that could not be read.
func unresolved(s *types.Struct) string {
	for i := range s.NumFields() {
		t := s.Field(i).Type()
		for {
			if array, ok := t.Underlying().(*types.Array); ok {
				t = array.Elem()
				continue
			}
			break
		}
		if basic, ok := t.Underlying().(*types.Basic); ok && basic.Kind() == types.Invalid {
			return s.Field(i).Name()
		}
		if inner, ok := t.Underlying().(*types.Struct); ok {
			if why := unresolved(inner); why != "" {
				return s.Field(i).Name() + "." + why
			}
		}
	}
	return ""
}

func flatten(sizes types.Sizes, s *types.Struct, prefix string, base int64) []field {
	members := make([]*types.Var, s.NumFields())
	for i := range members {
		members[i] = s.Field(i)
	}
	offsets := sizes.Offsetsof(members)
	out := []field{}
	for i, member := range members {
		name, at := prefix+member.Name(), base+offsets[i]
		if inner, ok := member.Type().Underlying().(*types.Struct); ok {
			out = append(out, flatten(sizes, inner, name+".", at)...)
			continue
		}
		out = append(out, field{name, at, sizes.Sizeof(member.Type())})
	}
	return out
}
