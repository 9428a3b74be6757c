package main

import (
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// declarations prints a file without bodies and comments, each declaration with its line.
func declarations(t *testing.T, name string, src []byte) string {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var b strings.Builder
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
			f.Body = &ast.BlockStmt{Lbrace: f.Body.Lbrace, Rbrace: f.Body.Lbrace}
		}
		b.WriteString(set.Position(decl.Pos()).String()[len(name):strings.LastIndexByte(set.Position(decl.Pos()).String(), ':')])
		ast.Inspect(decl, func(n ast.Node) bool {
			if n != nil {
				if id, ok := n.(*ast.Ident); ok {
					b.WriteString(" " + id.Name)
				}
			}
			return true
		})
		if err := printer.Fprint(&strings.Builder{}, set, decl); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestStripKeepsTheDeclarationsOfTheStandardLibrary(t *testing.T) {
	root := filepath.Join(runtime.GOROOT(), "src")
	files := 0
	for _, dir := range []string{"go", "net", "crypto", "encoding", "runtime", "reflect", "text", "strings", "slices", "sync"} {
		filepath.WalkDir(filepath.Join(root, dir), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.Contains(path, "testdata") {
				return nil
			}
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			short, _, ok := strip(src)
			if !ok {
				t.Errorf("%s: is not stripped", path)
				return nil
			}
			if a, b := declarations(t, path, src), declarations(t, path, short); a != b {
				t.Errorf("%s: the declarations differ", path)
			}
			files++
			return nil
		})
	}
	if files < 1000 {
		t.Errorf("only %d files were looked at", files)
	}
}

func TestStripSeesTheTrickyOnes(t *testing.T) {
	for _, src := range []string{
		"package p\n\nfunc F(x struct{ A int }) interface{ M() } {\n\treturn nil // }\n}\n\nvar After = 1\n",
		"package p\n\nfunc F() { s := \"}\"; r := '}'; q := '\\''; w := `}`; _, _, _, _ = s, r, q, w /* } */ }\n\ntype After int\n",
		"package p\n\nvar f = func() int { return 1 }\n\nfunc G()\n\nfunc H[T interface{ ~int }](x T) (y T) { return }\n\nconst After = 1\n",
		"package p; func F() {}; func G() { F() }; type After struct{}\n",
		"package p\n\ntype T struct {\n\tF func(struct{}) struct{} // c\n}\n\nfunc (t *T) M() (a, b struct{}) {\n}\n\nvar (\n\tAfter = 1\n)\n",
	} {
		short, _, ok := strip([]byte(src))
		if !ok {
			t.Errorf("not stripped: %q", src)
			continue
		}
		if a, b := declarations(t, "p.go", []byte(src)), declarations(t, "p.go", short); a != b {
			t.Errorf("%q\n%s\n%s", src, a, b)
		}
	}
}

func TestStripLeavesWhatIsNotSound(t *testing.T) {
	for _, src := range []string{"package p\n\nfunc F() {\n", "package p\n/* open", "package p\nvar s = \"open\n", "package p\n}\n", "package p\x00"} {
		if _, _, ok := strip([]byte(src)); ok {
			t.Errorf("stripped: %q", src)
		}
	}
}

func TestDeprecated(t *testing.T) {
	src := "package p\n\n// F is old.\n//\n// Deprecated: use G.\nfunc F() {}\n\n// G says Deprecated: in the middle.\nfunc G() {}\n\n" +
		"/*\nDeprecated: a block.\n*/\ntype T int\n\n// Deprecated: apart.\n\nfunc H() {}\n"
	_, deprecated, ok := strip([]byte(src))
	if !ok || len(deprecated) != 3 || !deprecated[5] || !deprecated[13] || !deprecated[16] {
		t.Errorf("%v %v", ok, deprecated)
	}
}

func TestVersionsAreOrderedAsSemanticVersioningDoes(t *testing.T) {
	order := []string{"v0.0.0-20200101000000-abcdefabcdef", "v0.9.0", "v1.0.0-alpha", "v1.0.0-alpha.1", "v1.0.0-alpha.beta", "v1.0.0-beta.2", "v1.0.0-beta.11", "v1.0.0", "v1.2.0", "v1.10.0"}
	for i := 1; i < len(order); i++ {
		if !newer(order[i], order[i-1]) || newer(order[i-1], order[i]) {
			t.Errorf("%s and %s", order[i-1], order[i])
		}
	}
}
