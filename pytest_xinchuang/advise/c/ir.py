"""Reads LLVM's textual IR as clang writes it without passes (``-O0 -Xclang -disable-O0-optnone -S -emit-llvm``).

Without passes each function and each call of the source is still there, and each statement is one of a few plain instructions:
locals are ``alloca``, what goes in and out of them ``store`` and ``load`` (LLVM Language Reference Manual). Nothing but what is
asked for here is read of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

MOST_IR = 256 << 20
"""Bytes of a unit's IR that are read: the largest of SQLite's amalgamation and of LLVM's own sources stay below 64 MiB."""

_NAME = r'[\w.$-]+|"(?:[^"\\]|\\.)*"'
_HEAD = re.compile(rf"define (?P<head>[^\n]*?)@(?P<name>{_NAME})\((?P<rest>[^\n]*)\{{$")
_DECLARE = re.compile(rf"^declare (?P<head>[^\n]*?)@(?P<name>{_NAME})\(", re.M)
_GLOBAL = re.compile(rf"^@(?P<name>{_NAME}) = (?P<rest>[^\n]*)", re.M)
_MODULE_ASM = re.compile(r'^module asm "(.*)"$', re.M)
_TITLE = re.compile(r'\bname: "((?:[^"\\]|\\.)*)"')
_SUBPROGRAM = re.compile(r"^(!\d+) = (?:distinct )?!DISubprogram\(([^\n]*)\)$", re.M)
_LOCATION = re.compile(r"^(!\d+) = (?:distinct )?!DILocation\(line: (\d+)[^\n]*?scope: (!\d+)", re.M)
_FILE = re.compile(r'^(!\d+) = !DIFile\(filename: "((?:[^"\\]|\\.)*)", directory: "((?:[^"\\]|\\.)*)"', re.M)
_SCOPE_FILE = re.compile(r"^(!\d+) = (?:distinct )?!DI(?:LexicalBlock|LexicalBlockFile|Subprogram)\(([^\n]*)\)$", re.M)
_REGISTER = re.compile(r"^!llvm\.named\.register\.(\w+) = ", re.M)
_LINKAGES = frozenset(
    {
        "private",
        "internal",
        "available_externally",
        "linkonce",
        "weak",
        "common",
        "extern_weak",
        "linkonce_odr",
        "weak_odr",
        "external",
    }
)
"""LLVM Language Reference Manual, Linkage Types."""

_CALLEE = re.compile(
    rf"(?:^|\s)(?:@(?P<name>{_NAME})|(?P<value>%[\w.$-]+)|asm (?P<kind>[^\"]*)\"(?P<text>[^\"]*)\", \"(?P<ties>[^\"]*)\")\s*\("
)
_VALUE = re.compile(r"%(?:[\w.$-]+|\"[^\"]*\")")
_SYMBOL = re.compile(rf"@({_NAME})")


def unescaped(text: str) -> str:
    """A string of the IR: ``\\0A`` is a byte in hexadecimal, as each byte of a letter beyond ASCII is."""
    data = re.sub(rb"\\([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())
    return data.decode(errors="replace")


def _plain(name: str) -> str:
    name = unescaped(name[1:-1]) if name.startswith('"') else name
    return name.removeprefix("\x01")


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        result: the value that it makes, e.g. ``%4``; "" for none.
        code: e.g. "store"; calls of all kinds are "call".
        text: what stands behind the code, without metadata.
        at: the metadata of its place, e.g. ``!14``; "" without debugging information.
    """

    result: str
    code: str
    text: str
    at: str

    @cached_property
    def callee(self) -> str:
        """The function that a call names; "" for an indirect one, for assembler, and for what is no call."""
        found = self._called
        return _plain(found["name"]) if found and found["name"] else ""

    @cached_property
    def assembler(self) -> str | None:
        """The text of inline assembler; None for all else."""
        found = self._called
        return unescaped(found["text"]).replace("$$", "$") if found and found["text"] is not None else None

    @cached_property
    def _called(self) -> re.Match[str] | None:
        return _CALLEE.search(self.text) if self.code == "call" else None

    @cached_property
    def arguments(self) -> str:
        """What a call is handed, as text."""
        return self.text[self._called.end() :] if self._called else ""

    @cached_property
    def values(self) -> tuple[str, ...]:
        """Local values that it names, the types among them left in: ``%struct.s`` is never the name of a value here."""
        return tuple(_VALUE.findall(self.text))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of functions and global variables that it names."""
        return tuple(_plain(name) for name in _SYMBOL.findall(self.text))

    @property
    def volatile(self) -> bool:
        return self.text.startswith(("volatile ", "atomic volatile "))

    @property
    def relaxed(self) -> bool:
        """Whether it reads or writes what others see, and orders nothing: volatile, or atomic and no more than that."""
        if self.code not in ("load", "store") or not self.text.startswith(("volatile ", "atomic ")):
            return False
        return not self.text.startswith("atomic ") or _RELAXED.search(self.text) is not None

    @property
    def atomic(self) -> bool:
        return self.text.startswith("atomic ") or self.code in ("cmpxchg", "atomicrmw", "fence")


_RELAXED = re.compile(r" (?:monotonic|unordered)(?:,|$)")
"""The orderings that order no other access (LLVM language reference, atomic memory ordering constraints)."""
_INSTRUCTION = re.compile(r"(?:(%[\w.$-]+|%\"[^\"]*\") = )?(?:(?:tail|musttail|notail) )?(\w+)\s*(.*)", re.S)
_AT = re.compile(r", !dbg (!\d+)")
_METADATA = re.compile(r"(?:, ![\w.]+ ![\w()\[\]{}!]+)+$")


@dataclass(frozen=True)
class Function:
    """A function with a body.

    Attributes:
        linkage: one of LLVM's; "external" where none is written.
        parameters: their values, ``%0`` and so on; ``structure_return``: the one by which a structure is returned, or "".
        returns: the type of what it returns, e.g. "i64"; "void".
        body: its text.
        at: the metadata of the function itself.
    """

    name: str
    linkage: str
    returns: str
    parameters: tuple[str, ...]
    structure_return: str
    body: str
    at: str

    @property
    def local(self) -> bool:
        """Whether no other unit can name it."""
        return self.linkage in ("internal", "private")

    @cached_property
    def instructions(self) -> tuple[Instruction, ...]:
        return tuple(i for block in self.blocks.values() for i in block)

    @cached_property
    def blocks(self) -> Mapping[str, tuple[Instruction, ...]]:
        """Label -> its instructions; the first is the entry, "" where it has no label."""
        blocks: dict[str, list[Instruction]] = {}
        now = blocks.setdefault("", [])
        for line in _lines(self.body):
            if not line.startswith(" "):
                label = line.partition(":")[0]
                if list(blocks) == [""] and not now:
                    blocks.clear()
                now = blocks.setdefault(label.strip('"'), [])
            elif (found := _INSTRUCTION.match(line.strip())) is not None:
                result, code, text = found[1] or "", found[2], found[3]
                at = _AT.search(text)
                text = _METADATA.sub("", text)
                now.append(
                    Instruction(result, "call" if code in ("invoke", "callbr") else code, text, at[1] if at else "")
                )
        return {label: tuple(block) for label, block in blocks.items()}

    @cached_property
    def follows(self) -> Mapping[str, frozenset[str]]:
        """Label -> those of the blocks that may come next."""
        after = {}
        for label, block in self.blocks.items():
            last = block[-1] if block else None
            names = re.findall(r"label %([\w.$-]+|\"[^\"]*\")", last.text) if last else []
            after[label] = frozenset(name.strip('"') for name in names)
        return after

    def always(self, label: str, ends: tuple[str, ...] = ("ret",)) -> bool:
        """Whether each way through the function that comes to a return goes through this block.

        Args:
            ends: the instructions that count as a return; ``unreachable`` stands behind a call that does not come back.
        """
        entry = next(iter(self.blocks))
        if label == entry:
            return True
        seen, todo = {label}, [entry]
        while todo:
            now = todo.pop()
            if now in seen:
                continue
            seen.add(now)
            block = self.blocks.get(now, ())
            if block and block[-1].code in ends:
                return False
            todo += self.follows.get(now, ())
        return True


def _lines(body: str) -> Iterator[str]:
    """The lines of a body, each instruction in one: what it spreads over more is indented deeper, or closes a bracket."""
    held = ""
    for line in body.splitlines():
        if not line or line.startswith(";"):
            continue
        if not line.startswith(" "):
            if held:
                yield held
                held = ""
            yield line
        elif held and (line.startswith("    ") or line.strip().startswith("]")):
            held += " " + line.strip()
        else:
            if held:
                yield held
            held = line
    if held:
        yield held


class Module:
    """A unit's IR.

    Attributes:
        functions: those with a body, by name; ``available_externally`` ones left out, for their code is elsewhere.
        declared: functions and variables that it uses and does not define; LLVM's intrinsics left out.
        weak: those of ``declared`` that may be missing.
        variables: global variables that it defines, and aliases and ifuncs.
        asm: its assembler outside of functions.
    """

    def __init__(self, text: str) -> None:
        self.text = text[:MOST_IR]
        self.functions: dict[str, Function] = {}
        self._tail = ""
        rest = self._bodies()
        declared, weak, variables = set(), set(), set()
        for found in _DECLARE.finditer(rest):
            name = _plain(found["name"])
            if not name.startswith("llvm."):
                declared.add(name)
                if found["head"].startswith("extern_weak "):
                    weak.add(name)
        for found in _GLOBAL.finditer(rest):
            name, first = _plain(found["name"]), found["rest"].split(" ", 1)[0]
            if name.startswith("llvm."):
                continue
            if first in ("external", "extern_weak"):
                declared.add(name)
                weak |= {name} if first == "extern_weak" else set()
            elif first != "available_externally" and not found["rest"].startswith(("private ", "internal ")):
                variables.add(name)
        self._outside = rest
        self.asm = "\n".join(unescaped(line) for line in _MODULE_ASM.findall(rest))
        self.declared = frozenset(declared)
        self.weak = frozenset(weak)
        self.variables = frozenset(variables)

    def _bodies(self) -> str:
        """Take the functions; what stands outside of them and of the metadata is left."""
        text, left, at = self.text, [], 0
        while True:
            start = text.find("\ndefine ", at)
            if start < 0:
                break
            left.append(text[at:start])
            line = text.find("\n", start + 1)
            end = text.find("\n}", line)
            if line < 0 or end < 0:
                return "".join(left)
            at = end + 2
            if (head := _HEAD.match(text, start + 1, line)) is not None:
                function = _function(head, text[line + 1 : end + 1])
                if function.linkage != "available_externally":
                    self.functions[function.name] = function
        end = text.find("\n!", at)
        self._tail = text[end if end >= 0 else len(text) :]
        left.append(text[at : end if end >= 0 else len(text)])
        return "".join(left)

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Structures by their names, each with the text of its members."""
        return dict(re.findall(r"^(%[\w.$:]+) = type ([^\n]+)", self.text, re.M))

    def type_of(self, variable: str) -> str:
        """The type of a global variable with all that stands behind it; "" for one that is not defined here."""
        found = re.search(rf"^@{re.escape(variable)} = (?:[a-z_() ]+ )?(?:global|constant) ([^\n]*)", self.text, re.M)
        return found[1] if found else ""

    @property
    def registers(self) -> frozenset[str]:
        """The registers that code reads or writes as global variables (Clang manual, Global Register Variables)."""
        return frozenset(_REGISTER.findall(self.text))

    @cached_property
    def exported(self) -> frozenset[str]:
        """What other units may link with: functions, variables, and labels of its assembler."""
        functions = {f.name for f in self.functions.values() if not f.local}
        labels = set(re.findall(r"^\s*\.(?:globl|global|weak|symver)\s+([\w.$]+)", self.asm, re.M))
        return frozenset(functions | self.variables | labels)

    @cached_property
    def _metadata(self) -> tuple[dict[str, tuple[str, int, str]], dict[str, tuple[int, str]], dict[str, str]]:
        """Functions' names, lines and files; locations' lines and scopes; scopes' files."""
        files = {found[1]: unescaped(found[2]) for found in _FILE.finditer(self._tail)}
        places, scopes = {}, {}
        for found in _SUBPROGRAM.finditer(self._tail):
            line, file = re.search(r"\bline: (\d+)", found[2]), re.search(r"\bfile: (!\d+)", found[2])
            title = _TITLE.search(found[2])
            places[found[1]] = (
                unescaped(title[1]) if title else "",
                int(line[1]) if line else 0,
                files.get(file[1], "") if file else "",
            )
        for found in _SCOPE_FILE.finditer(self._tail):
            if file := re.search(r"\bfile: (!\d+)", found[2]):
                scopes[found[1]] = files.get(file[1], "")
        locations = {found[1]: (int(found[2]), found[3]) for found in _LOCATION.finditer(self._tail)}
        return places, locations, scopes

    def place(self, function: Function) -> tuple[str, int]:
        """The file and line of a function, where it was compiled with ``-gline-tables-only``; ("", 0) without."""
        _title, line, file = self._metadata[0].get(function.at, ("", 0, ""))
        return file, line

    def title(self, function: Function) -> str:
        """A function as its source calls it, without a class or types."""
        return self._metadata[0].get(function.at, ("", 0, ""))[0] or function.name

    def spot(self, instruction: Instruction) -> tuple[str, int]:
        """The file and line of an instruction; ("", 0) without debugging information."""
        _places, locations, scopes = self._metadata
        line, scope = locations.get(instruction.at, (0, ""))
        return scopes.get(scope, ""), line

    def lines(self, function: Function) -> frozenset[tuple[str, int]]:
        """The lines of the source that a function's instructions stand for."""
        return frozenset(self.spot(i) for i in function.instructions if i.at)

    def users(self, name: str) -> Iterator[tuple[Function, str, Instruction]]:
        """Where a function or variable is named: the function, the block and the instruction."""
        word = "@" + name
        quoted = f'@"{name}"'
        for function in self.functions.values():
            if word not in function.body and quoted not in function.body:
                continue
            for label, block in function.blocks.items():
                for instruction in block:
                    if name in instruction.symbols:
                        yield function, label, instruction

    def has_high_bytes(self, name: str) -> bool:
        """Whether a variable is an array of bytes of which one, as it is initialized, has its highest bit set."""
        word = re.escape(name)
        found = re.search(rf'^@(?:{word}|"{word}") = [^\n]*?\[\d+ x i8\] c"([^\n]*?)"(?:, |$)', self._outside, re.M)
        return found is not None and re.search(r"\\[89A-Fa-f][0-9A-Fa-f]", found[1]) is not None

    def named_by_data(self, name: str) -> bool:
        """Whether the initial value of a variable, or an alias, names it: then it may be called from anywhere."""
        word = re.compile(rf'@(?:{re.escape(name)}|"{re.escape(name)}")(?![\w.$-])')
        return any(word.search(found["rest"]) for found in _GLOBAL.finditer(self._outside))


_PARAMETER = re.compile(r"(?:^|, )(?P<type>[^,()]+(?:\([^()]*\)[^,()]*)*) (?P<name>%[\w.$-]+)(?=, |$)")


def _function(found: re.Match[str], body: str) -> Function:
    words = found["head"].split()
    linkage = next((word for word in words if word in _LINKAGES), "external")
    given, rest = _bracketed(found["rest"])
    parameters = _PARAMETER.findall(given)
    at = re.search(r"!dbg (!\d+)", rest)
    return Function(
        name=_plain(found["name"]),
        linkage=linkage,
        returns=_type_of(found["head"]),
        parameters=tuple(name for _type, name in parameters),
        structure_return=next((name for kind, name in parameters if "sret(" in kind), ""),
        body=body,
        at=at[1] if at else "",
    )


_TYPE = re.compile(r"(void|i\d+|half|bfloat|float|double|x86_fp80|fp128|ptr|[<{\[].*[>}\]]|%[\w.$-]+|%\"[^\"]*\")\s*$")


def _type_of(head: str) -> str:
    found = _TYPE.search(head)
    return found[1] if found else ""


def _bracketed(text: str) -> tuple[str, str]:
    """What stands before the bracket that closes, and behind it."""
    depth = 1
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return text[:index], text[index + 1 :]
    return text, ""
