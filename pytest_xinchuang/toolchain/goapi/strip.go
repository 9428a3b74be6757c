package main

import "bytes"

// strip removes what an API does not show: bodies of functions and comments. Lines keep their numbers, so that positions
// stay right. The parser then reads a small part of the source.
//
// The second result holds the last lines of those comments that have a paragraph "Deprecated:"; a declaration on the next
// line is deprecated (https://go.dev/wiki/Deprecated). ok is false when the text is not lexically sound: the parser then
// gets the original and says what is wrong.
func strip(src []byte) (out []byte, deprecated map[int]bool, ok bool) {
	s := stripper{src: src, out: make([]byte, 0, len(src)/2), line: 1, start: true}
	if !s.run() {
		return nil, nil, false
	}
	return s.out, s.deprecated, true
}

type stripper struct {
	src        []byte
	out        []byte
	at         int
	line       int
	depth      int  // of brackets of any kind
	ends       bool // the token before would end a statement at a newline
	start      bool // a declaration may begin here
	noted      bool // the comment group so far has "Deprecated:"
	noteEnd    int
	deprecated map[int]bool
}

func isLetter(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// newline is called for each newline outside of literals.
func (s *stripper) newline() {
	s.out = append(s.out, '\n')
	s.line++
	if s.ends && s.depth == 0 {
		s.start = true
	}
	s.ends = false
}

// run copies the source; false when a literal, a comment or a bracket has no end.
func (s *stripper) run() bool {
	for s.at < len(s.src) {
		c := s.src[s.at]
		switch {
		case c == '\n':
			s.newline()
			s.at++
		case c == ' ' || c == '\t' || c == '\r':
			s.out = append(s.out, c)
			s.at++
		case c == '/' && s.at+1 < len(s.src) && (s.src[s.at+1] == '/' || s.src[s.at+1] == '*'):
			if !s.comment() {
				return false
			}
		case isLetter(c):
			if word := s.word(); s.start && s.depth == 0 && string(word) == "func" {
				if !s.function() {
					return false
				}
				continue
			}
			s.start = false
			s.ends = true
		case c == '"' || c == '\'' || c == '`':
			if !s.literal() {
				return false
			}
			s.start, s.ends = false, true
		case c == 0:
			return false
		default:
			switch c {
			case '(', '[', '{':
				s.depth++
				s.ends = false
			case ')', ']', '}':
				s.depth--
				s.ends = true
			case ';':
				s.ends = false
				s.start = s.depth == 0
				s.out = append(s.out, c)
				s.at++
				continue
			case '+', '-':
				// i++ ends a statement; no declaration does, and a wrong guess only keeps a body.
				s.ends = false
			default:
				s.ends = isDigit(c)
			}
			if s.depth < 0 {
				return false
			}
			s.start = false
			s.out = append(s.out, c)
			s.at++
		}
	}
	return s.depth == 0
}

// word copies an identifier or keyword.
func (s *stripper) word() []byte {
	from := s.at
	for s.at < len(s.src) && (isLetter(s.src[s.at]) || isDigit(s.src[s.at])) {
		s.at++
	}
	s.out = append(s.out, s.src[from:s.at]...)
	return s.src[from:s.at]
}

// literal copies a string or rune literal; false when it has no end.
func (s *stripper) literal() bool {
	end := literal(s.src, s.at)
	if end < 0 {
		return false
	}
	s.line += bytes.Count(s.src[s.at:end], newlines)
	s.out = append(s.out, s.src[s.at:end]...)
	s.at = end
	return true
}

var (
	newlines   = []byte{'\n'}
	deprecates = []byte("Deprecated:")
)

// comment skips one comment and keeps its newlines.
func (s *stripper) comment() bool {
	from := s.at
	first := s.line
	if s.src[s.at+1] == '/' {
		end := bytes.IndexByte(s.src[s.at:], '\n')
		if end < 0 {
			end = len(s.src) - s.at
		}
		s.at += end
	} else {
		end := bytes.Index(s.src[s.at+2:], []byte("*/"))
		if end < 0 {
			return false
		}
		s.at += 2 + end + 2
		for range bytes.Count(s.src[from:s.at], newlines) {
			s.newline()
		}
		s.out = append(s.out, ' ')
	}
	text := s.src[from:s.at]
	if s.noted && first > s.noteEnd+1 {
		s.noted = false
	}
	if s.noted || paragraph(text) {
		if s.deprecated == nil {
			s.deprecated = map[int]bool{}
		}
		if s.noted {
			delete(s.deprecated, s.noteEnd)
		}
		s.noted, s.noteEnd = true, s.line
		s.deprecated[s.line] = true
	}
	return true
}

// paragraph tells whether a line of the comment begins with "Deprecated:".
func paragraph(text []byte) bool {
	at := bytes.Index(text, deprecates)
	if at < 0 {
		return false
	}
	lineStart := bytes.LastIndexByte(text[:at], '\n') + 1
	return len(bytes.Trim(text[lineStart:at], " \t/*")) == 0
}

// literal returns the end of the string or rune literal at from, or -1.
func literal(src []byte, from int) int {
	quote := src[from]
	if quote == '`' {
		end := bytes.IndexByte(src[from+1:], '`')
		if end < 0 {
			return -1
		}
		return from + 1 + end + 1
	}
	for at := from + 1; at < len(src); at++ {
		switch src[at] {
		case '\\':
			at++
		case '\n':
			return -1
		case quote:
			return at + 1
		}
	}
	return -1
}

// function copies the signature of the declaration that the word func has begun, and leaves out its body.
func (s *stripper) function() bool {
	s.start = false
	depth := 0
	opens := false // the word before is struct or interface: the next { belongs to a type
	for s.at < len(s.src) {
		c := s.src[s.at]
		switch {
		case c == '\n':
			if depth == 0 && s.ends {
				return true // no body: written in assembly
			}
			s.newline()
			s.start = false
			s.at++
			continue
		case c == ' ' || c == '\t' || c == '\r':
			s.out = append(s.out, c)
			s.at++
			continue
		case c == '/' && s.at+1 < len(s.src) && (s.src[s.at+1] == '/' || s.src[s.at+1] == '*'):
			if !s.comment() {
				return false
			}
			continue
		case isLetter(c):
			word := string(s.word())
			opens = word == "struct" || word == "interface"
			s.ends = true
			continue
		case c == '"' || c == '\'' || c == '`':
			if !s.literal() {
				return false
			}
			s.ends, opens = true, false
			continue
		case c == '{' && depth == 0 && !opens:
			return s.body()
		case c == 0:
			return false
		case c == '(' || c == '[' || c == '{':
			depth++
			s.ends = false
		case c == ')' || c == ']' || c == '}':
			depth--
			s.ends = true
		default:
			s.ends = isDigit(c)
		}
		if depth < 0 {
			return false
		}
		opens = false
		s.out = append(s.out, c)
		s.at++
	}
	return depth == 0
}

// body skips to the brace that ends the function.
func (s *stripper) body() bool {
	depth := 0
	for at := s.at; at < len(s.src); at++ {
		switch c := s.src[at]; c {
		case '{':
			depth++
		case '}':
			depth--
			if depth == 0 {
				s.out = append(s.out, '{')
				for range bytes.Count(s.src[s.at:at], newlines) {
					s.out = append(s.out, '\n')
					s.line++
				}
				s.out = append(s.out, '}')
				s.at = at + 1
				s.ends, s.start = true, false
				return true
			}
		case '"', '\'', '`':
			end := literal(s.src, at)
			if end < 0 {
				return false
			}
			at = end - 1
		case '/':
			if at+1 < len(s.src) && s.src[at+1] == '/' {
				end := bytes.IndexByte(s.src[at:], '\n')
				if end < 0 {
					return false
				}
				at += end - 1
			} else if at+1 < len(s.src) && s.src[at+1] == '*' {
				end := bytes.Index(s.src[at+2:], []byte("*/"))
				if end < 0 {
					return false
				}
				at += 2 + end + 1
			}
		case 0:
			return false
		}
	}
	return false
}
