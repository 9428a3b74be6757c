package main

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// problem is something that could not be read as it should. Its code says what, for programs and for other languages;
// its message is the English of the code with the parameters in it.
type problem struct {
	File    string            `json:"file"`
	Line    int               `json:"line,omitempty"`
	Code    string            `json:"code"`
	Params  map[string]string `json:"params,omitempty"`
	Message string            `json:"message"`
}

// texts are the English of the codes. goproblems.py has the same ones, from which the other languages are made.
var texts = map[string]string{
	"unreadable":          "cannot be read: {why}",
	"irregular-file":      "is not a regular file and is left out",
	"binary-file":         "is a binary file (it has a NUL byte) and is left out",
	"large-file":          "has {mib} MiB of declarations, more than the {most} that are read",
	"other-package":       "is of package {package}, while the others are of {others}; it is left out",
	"syntax-error":        "syntax error: {why}",
	"more-syntax-errors":  "and {n} more syntax errors",
	"type-error":          "{why}",
	"newer-go":            "declares go {go}, newer than the Go that reads it ({have})",
	"import-cycle":        "import cycle: {importer} imports {path}, which imports it again",
	"module-not-here":     "imports {path}: module {module} is not in the module cache; an opaque stub stands for it",
	"module-not-required": "imports {path}: no required module provides it; an opaque stub stands for it",
	"unusable-directory":  "use {directory}: {why}",
	"unnamed-module":      "use {directory}: its go.mod has no module directive",
	"no-module-directive": "there is no module directive",
	"no-go-mod":           "there is none; the module's path is taken to be {path}",
	"path-taken":          "the module's path is not known and is taken to be {path}",
	"no-target":           "{target} is not a target: GOOS/GOARCH is expected",
	"failed":              "{why}",
}

var errUnnamed = errors.New("no module directive")

// tell makes a problem of a code, with parameters as names and values in turn.
func tell(file string, line int, code string, parameters ...string) problem {
	p := problem{File: file, Line: line, Code: code}
	replace := make([]string, 0, len(parameters))
	for i := 0; i+1 < len(parameters); i += 2 {
		if p.Params == nil {
			p.Params = map[string]string{}
		}
		p.Params[parameters[i]] = parameters[i+1]
		replace = append(replace, "{"+parameters[i]+"}", parameters[i+1])
	}
	p.Message = strings.NewReplacer(replace...).Replace(texts[code])
	return p
}

// harmless tells whether the declarations were checked all the same: with this Go, or with a stub for a package.
func (p problem) harmless() bool {
	return p.Code == "newer-go" || p.Code == "module-not-here" || p.Code == "module-not-required"
}

// absence is why an import path leads nowhere; the zero value says that it leads somewhere.
type absence struct {
	code   string
	module string // PATH@VERSION of the module that should have it
}

func (a absence) problem(dir, path string) problem {
	if a.module == "" {
		return tell(dir, 0, a.code, "path", path)
	}
	return tell(dir, 0, a.code, "path", path, "module", a.module)
}

// goModProblem is why the module's own go.mod cannot be read.
func goModProblem(err error) problem {
	if errors.Is(err, errUnnamed) {
		return tell("go.mod", 1, "no-module-directive")
	}
	return tell("go.mod", 0, "unreadable", "why", reason(err))
}

// useProblem is why a directory of go.work cannot be used.
func useProblem(directory string, err error) problem {
	if errors.Is(err, errUnnamed) {
		return tell("go.work", 0, "unnamed-module", "directory", directory)
	}
	return tell("go.work", 0, "unusable-directory", "directory", directory, "why", reason(err))
}

// reason is an error without the path in it, which the problem names already.
func reason(err error) string {
	var of *os.PathError
	if errors.As(err, &of) {
		return of.Err.Error()
	}
	return err.Error()
}

func number(n int) string { return strconv.Itoa(n) }
