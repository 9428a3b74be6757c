"""Stands in for one program of a build: a compiler, an archiver, uname. Which one is the name that it is called by.

Beside its links stands ``../guise`` (see ``guise.py``): which machine answers, and where calls are written down. It uses the
standard library alone and imports nothing of this package, for it runs behind the wall with the tree's own programs. Configure
scripts start it some thousand times: what takes long to import (re, json, hashlib) is imported where it is needed.

A source of the tree is not compiled in the step that makes the product: its call is written down, clang is asked for its
flags, and an empty object takes its place. Which sources compile is found by others from what was written down. What a build
tries out (conftest, CMake's scratch, what comes from standard input) is compiled and linked for the target.
"""

from __future__ import annotations

import marshal
import os
import sys
from _json import encode_basestring_ascii as quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

OWN = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0] if sys.argv else "")))
MARK = b"\nxc-call:"
"""Behind the bytes of an object that stands in for a compiled one: its call, as JSON."""
MOST_LOGGED = 64 << 20
"""Bytes of what is written down: an endless loop of calls fills no disk."""

SOURCES = {
    ".c": "c", ".i": "c", ".cc": "c++", ".cp": "c++", ".cxx": "c++", ".cpp": "c++", ".CPP": "c++", ".c++": "c++", ".C": "c++",
    ".ii": "c++", ".s": "assembler", ".S": "assembler-with-cpp", ".sx": "assembler-with-cpp",
}  # fmt: skip
"""GCC manual, Options Controlling the Kind of Output."""

APART = frozenset(
    {
        "-o", "-I", "-D", "-U", "-L", "-l", "-include", "-imacros", "-isystem", "-iquote", "-idirafter", "-iprefix",
        "-iwithprefix", "-isysroot", "-x", "-MF", "-MT", "-MQ", "-T", "-u", "-z", "-e", "-B", "-Xlinker", "-Xassembler",
        "-Xpreprocessor", "-Xclang", "-target", "--param", "--sysroot", "-aux-info", "-A", "-arch", "-framework",
    }
)  # fmt: skip
"""Options whose argument may be a word of its own (GCC manual, Option Summary)."""

NOT_COMPILED = frozenset(["-E", "-M", "-MM", "-S", "-fsyntax-only", "-dM"])
SCRATCH = ("CMakeScratch", "CMakeTmp", "meson-private")
SCRATCH_BEGINS = ("TryCompile-", "CompilerId", "conftest")
"""Where CMake, meson and configure scripts try things out."""

ANY_MACHINE = frozenset({"-march=native", "-mtune=native", "-mcpu=native", "-mtune=generic"})
"""What GCC takes on every platform, and clang does not, when it compiles for another machine."""


def main() -> int:
    name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
    with open(f"{OWN}/guise", "rb") as file:
        guise: dict[str, Any] = marshal.load(file)
    kind = guise["programs"].get(name, "cc")
    return int(HANDLERS[kind](guise, name, words))


def say(text: object) -> None:
    sys.stdout.write(f"{text}\n")


def as_json(value: Any) -> str:
    """JSON, as json.dumps writes it."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)}: {as_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(as_json, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def in_scratch(path: str) -> bool:
    """Whether a path is one at which things are tried out."""
    return any(part in SCRATCH or part.startswith(SCRATCH_BEGINS) for part in path.split("/"))


def asks_clang(word: str) -> bool:
    """Whether it is an option that may be of one machine, which clang is asked about: ``-mavx2``, ``-fcf-protection``."""
    if word.startswith("-f"):
        return len(word) > 2
    return word.startswith("-m") and word[2:3].isalnum() and not word.startswith("-macosx") and word not in ANY_MACHINE


def note(guise: dict[str, Any], **what: Any) -> None:
    """Write down a call."""
    with open(guise["log"], "ab") as file:
        if file.tell() < MOST_LOGGED:
            file.write(as_json(what).encode() + b"\n")


def run(argv: Sequence[str], *, quiet: bool = False) -> int:
    """Run a program to its end."""
    child = os.fork()
    if child == 0:
        try:
            if quiet:
                null = os.open("/dev/null", os.O_RDWR)
                for stream in (0, 1, 2):
                    os.dup2(null, stream)
            os.execv(argv[0], list(argv))
        except OSError as error:
            os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        os._exit(127)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def real(name: str) -> str | None:
    """The system's own program of a name."""
    for place in ("/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"):
        if os.access(f"{place}/{name}", os.X_OK):
            return f"{place}/{name}"
    return None


def hand_on(name: str, words: Sequence[str]) -> int:
    program = real(name)
    if program is None:
        sys.stderr.write(f"{name}: not found\n")
        return 127
    os.execv(program, [program, *words])
    return 127


# -- what says which machine it is


def uname(guise: dict[str, Any], name: str, words: list[str]) -> int:
    """uname(1) of GNU coreutils."""
    note(guise, t="uname")
    fields = {"s": "Linux", "n": "localhost", "r": guise["kernel"], "v": "#1 SMP", "m": guise["uname"]}
    fields |= {"p": guise["uname"], "i": guise["uname"], "o": "GNU/Linux"}
    long = {"kernel-name": "s", "nodename": "n", "kernel-release": "r", "kernel-version": "v", "machine": "m"}
    long |= {"processor": "p", "hardware-platform": "i", "operating-system": "o", "all": "a"}
    wanted = "".join(long.get(w[2:], "") if w.startswith("--") else w[1:] for w in words if w.startswith("-")) or "s"
    if not set(wanted) <= {*fields, "a"}:
        return hand_on(name, words)
    say(" ".join(value for letter, value in fields.items() if letter in wanted or "a" in wanted))
    return 0


def arch(guise: dict[str, Any], name: str, words: list[str]) -> int:
    return hand_on(name, words) if words else uname(guise, name, ["-m"])


def package_manager(guise: dict[str, Any], name: str, words: list[str]) -> int:
    """dpkg and rpm, as far as they are asked for the architecture."""
    if name == "rpm" and words and words[0] in ("-E", "--eval"):
        text = " ".join(words[1:])
        for macro in ("_arch", "_target_cpu", "_host_cpu", "_build_cpu", "_build_arch"):
            text = text.replace(f"%{{{macro}}}", guise["rpm"]).replace(f"%{macro}", guise["rpm"])
        note(guise, t="uname")
        say(text)
        return 0
    asked_by_name = name == "dpkg-architecture" and any(w in ("-qDEB_HOST_ARCH", "-qDEB_BUILD_ARCH") for w in words)
    if asked_by_name or "--print-architecture" in words:
        note(guise, t="uname")
        say(guise["deb"])
        return 0
    return hand_on(name, words)


def getconf(guise: dict[str, Any], name: str, words: list[str]) -> int:
    if words in (["PAGESIZE"], ["PAGE_SIZE"]) and guise.get("page"):
        say(guise["page"])
        return 0
    return hand_on(name, words)


def lscpu(guise: dict[str, Any], _name: str, _words: list[str]) -> int:
    note(guise, t="uname")
    say(f"Architecture:        {guise['uname']}\nByte Order:          Little Endian")
    return 0


# -- compilers


class Call:
    """The words of a compiler's call, sorted.

    Attributes:
        flags: all but sources, objects and ``-o``, in their order.
        inputs: (file, language; None is an object or a library).
    """

    def __init__(self, words: Sequence[str], cxx: bool) -> None:
        self.words = expanded(words)
        self.flags: list[str] = []
        self.inputs: list[tuple[str, str | None]] = []
        self.out: str | None = None
        language: str | None = None
        queue = list(self.words)
        while queue:
            word = queue.pop(0)
            if word == "-o" and queue:
                self.out = queue.pop(0)
            elif word.startswith("-o") and len(word) > 2 and not word.startswith("-obj"):
                self.out = word[2:]
            elif word == "-x" and queue:
                language = queue.pop(0)
                language = None if language == "none" else language
            elif word.startswith("-x") and len(word) > 2:
                language = None if word == "-xnone" else word[2:]
            elif word in APART and queue:
                self.flags += [word, queue.pop(0)]
            elif word == "-" or not word.startswith("-"):
                known = language or SOURCES.get(os.path.splitext(word)[1])
                self.inputs.append((word, "c++" if cxx and known == "c" else known))
            else:
                self.flags.append(word)

    @property
    def sources(self) -> list[tuple[str, str]]:
        return [(name, language) for name, language in self.inputs if language is not None]

    @property
    def links(self) -> bool:
        return "-c" not in self.flags and not NOT_COMPILED.intersection(self.flags)

    def after(self, option: str) -> str | None:
        """The argument of an option that is given as a word of its own."""
        for word, following in zip(self.flags, self.flags[1:], strict=False):
            if word == option:
                return following
        return next((w[len(option) :] for w in self.flags if w.startswith(option) and w != option), None)


def expanded(words: Sequence[str]) -> list[str]:
    """Words with those of ``@FILE`` in its place."""
    found: list[str] = []
    for word in words:
        if word.startswith("@") and len(word) > 1 and os.path.isfile(word[1:]):
            import shlex

            with open(word[1:], encoding="utf-8", errors="replace") as file:
                found += shlex.split(file.read())
        else:
            found.append(word)
    return found


def compiler(guise: dict[str, Any], name: str, words: list[str]) -> int:
    """A C or C++ compiler."""
    cxx = guise["cxx"].get(name, "++" in name)
    call = Call(words, cxx)
    here = os.getcwd()

    def done(kind: str, code: int, refused: Sequence[str] = ()) -> int:
        note(guise, t="cc", n=name, a=call.words, d=here, c=code, k=kind, r=list(refused), x=cxx)
        return code

    if not call.inputs:
        return done("asked", asked(guise, call, cxx))
    refused, passed_over = weighed(guise, call)
    kept = may_stand_in(guise, call, here)
    if not kept:
        # What tries an option is answered as the platform's own GCC does.
        refused += passed_over
    if refused:
        for word in refused:
            sys.stderr.write(f"{name}: error: {word}\n")
        return done("refused", 1, refused)
    if kept:
        words = part("foreign")["linker_words"](call.flags) if call.links else []
        if call.links and not links(guise, [n for n, language in call.inputs if language is None], call.flags, words):
            return done("foreign", 1)
        return done("kept", stand_in(guise, call, here, cxx), passed_over)
    return done("tried", compiled(guise, call, cxx))


def asked(guise: dict[str, Any], call: Call, cxx: bool) -> int:
    """A question about the compiler itself."""
    if "-dumpmachine" in call.flags or "-print-multiarch" in call.flags or "--print-multiarch" in call.flags:
        say(guise["gnu"])
        return 0
    if "-Wl,--version" in call.flags:
        return run(
            [guise["zig"], "ld.lld", "--version"]
        )  # so meson asks which linker there is; zig's driver refuses it
    return run([guise["zig"], "c++" if cxx else "cc", "-target", guise["zig_target"], *call.words])


def weighed(guise: dict[str, Any], call: Call) -> tuple[list[str], list[str]]:
    """The machine's own options of a call that x86-64 takes, and the target does not.

    Returns:
        Those that clang refuses for the target, and those that it passes over and GCC does not have there.
    """
    refused, passed_over = [], []
    for word in dict.fromkeys(call.flags):
        if not asks_clang(word):
            continue
        if answer(guise, guise["other"], word) != TAKEN:
            continue
        here = answer(guise, guise["clang"], word)
        if here == REFUSED:
            # What is refused alone may be taken beside others: -mcmodel=large beside -fno-pic.
            others = [w for w in call.flags if w != word and asks_clang(w)]
            beside = [w for w in others if answer(guise, guise["clang"], w) == TAKEN]
            here = answer(guise, guise["clang"], word, *beside) if beside else here
        pic = any(w.startswith(("-fpic", "-fPIC", "-fpie", "-fPIE")) for w in call.flags)
        if here == REFUSED and not pic and answer(guise, guise["clang"], word, "-fno-pie") == TAKEN:
            here = PASSED_OVER  # a GCC that makes no position-independent programs by itself takes it
        if here == REFUSED:
            refused.append(word)
        elif here == PASSED_OVER or (guise["clang"] != guise["other"] and word in OF_X86):
            passed_over.append(word)
    return refused, passed_over


TAKEN, PASSED_OVER, REFUSED = "taken", "passed over", "refused"

OF_X86 = frozenset(
    {"-m64", "-m32", "-mx32", "-mno-red-zone", "-mred-zone", "-mstackrealign", "-masm=intel", "-masm=att"}
)
"""Options of which clang says nothing, and that GCC has for x86 and not for AArch64 or LoongArch (GCC manual, x86 Options,
AArch64 Options, LoongArch Options)."""


def answer(guise: dict[str, Any], target: str, *words: str) -> str:
    """What clang says of an option for a target, or of some together; asked once."""
    import hashlib

    place = f"{guise['state']}/{hashlib.sha256(' '.join((target, *words)).encode()).hexdigest()[:24]}"
    try:
        with open(place, encoding="ascii") as file:
            return file.read()
    except OSError:
        argv = [guise["zig"], "clang", f"--target={target}", "-c", "-x", "c", "/dev/null", "-o", "/dev/null", *words]
        found = TAKEN if run([*argv, "-Werror=unused-command-line-argument"], quiet=True) == 0 else PASSED_OVER
        if found == PASSED_OVER and run(argv, quiet=True):
            found = REFUSED
        write(f"{place}.{os.getpid()}", found.encode())
        os.replace(f"{place}.{os.getpid()}", place)
        return found


def may_stand_in(guise: dict[str, Any], call: Call, here: str) -> bool:
    """Whether an empty object will do: a source of the tree in the step that makes the product, or what comes of such."""
    if guise["tries"] or NOT_COMPILED.intersection(call.flags) or call.out == "/dev/null" or in_scratch(here):
        return False
    for name, language in call.inputs:
        path = os.path.normpath(os.path.join(here, name))
        if name == "-" or in_scratch(path):
            return False
        if language is not None and not (path.startswith(guise["tree"] + "/") and os.path.isfile(path)):
            return False
        if language is None and not os.path.exists(path):
            return False  # the linker shall say so
    return True


def links(guise: dict[str, Any], files: Sequence[str], flags: Sequence[str], words: Sequence[str]) -> bool:
    """Whether a linker takes the files and its own words: none of them is of another machine."""
    with open(guise["object"], "rb") as file:
        own = file.read()
    foreign = part("foreign")
    said = foreign["refused_words"](own, words) or foreign["foreign"](own, files, flags)
    for line in said:
        sys.stderr.write(f"ld: {line}\n")
    return not said


def stand_in(guise: dict[str, Any], call: Call, here: str, cxx: bool) -> int:
    """Write empty objects, or a program that tells when it is started."""
    with open(guise["object"], "rb") as file:
        empty = file.read()
    told = {"a": call.words, "d": here, "x": cxx}
    for name, _language in call.sources:
        out = call.out if call.out and not call.links else os.path.splitext(os.path.basename(name))[0] + ".o"
        if not call.links:
            write(out, empty + MARK + as_json(told | {"s": name}).encode())
        rules(call, name, call.out or out)
    if call.links:
        out = call.out or "a.out"
        if any(w in call.flags for w in ("-shared", "-r", "-Wl,-r", "--shared")):
            write(out, empty)
        else:
            write(out, f"#!{OWN}/bin/xc-started\n{as_json(told)}\n".encode())
        os.chmod(out, 0o755)
    return 0


def rules(call: Call, source: str, out: str) -> None:
    """The rule for make that was asked for: of the source alone."""
    if not any(w in call.flags for w in ("-MD", "-MMD")):
        return
    place = call.after("-MF") or os.path.splitext(call.out or os.path.basename(source))[0] + ".d"
    if place != "/dev/null":
        write(place, f"{call.after('-MT') or call.after('-MQ') or out}: {source}\n".encode())


def write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def plain_of(word: str) -> bool:
    """Whether it makes no difference for whether something exists, and would have zig make its parts anew."""
    return word == "-s" or word.startswith(("-O", "-g", "-flto", "-march=", "-mtune=", "-mcpu="))


TAKEN_BY_GCC = (
    "-Wno-error=implicit-int", "-Wno-error=implicit-function-declaration", "-Wno-error=int-conversion",
    "-Wno-error=incompatible-pointer-types", "-Wno-error=incompatible-function-pointer-types", "-Wno-error=return-mismatch",
)  # fmt: skip
"""What GCC before 14 warns of in C, as its programs for trials by old configure scripts need it (GCC 14, Porting to)."""


OPENMP = "-fopenmp"
"""The option by which a link has the library of OpenMP (GCC manual, -fopenmp; clang, -fopenmp=libomp)."""


def compiled(guise: dict[str, Any], call: Call, cxx: bool) -> int:
    """Compile and link for the target."""
    plain = [guise["zig"], "c++" if cxx else "cc", "-target", guise["zig_target"], "-O2", "-s", *TAKEN_BY_GCC]
    if "-S" in call.flags:
        plain[3] = guise["clang"]  # with a version in the target's name zig writes no assembly
    plain += guise["headers"]
    of_cxx = cxx or any(language == "c++" for _, language in call.sources)
    if call.links and (of_cxx or any(w.startswith(("-l", OPENMP)) or ".so" in w for w in call.words)):
        flags = [w for w in call.flags if not plain_of(w)]
        code = int(part("libraries")["linked"](guise, call, without_system_headers(flags), plain, run, of_cxx))
    else:
        own = without_system_headers([w for w in call.words if not plain_of(w)])
        if ("-", None) in call.inputs:
            # Without a language clang takes nothing from there.
            own[own.index("-") : own.index("-")] = ["-x", "c++" if cxx else "c"]
        code = run([*plain, *own])
    out = call.out or "a.out"
    if code == 0 and call.links and out != "/dev/null" and not in_scratch(os.path.join(os.getcwd(), out)):
        started_by_us(out)
    return code


SYSTEM_HEADERS = ("/usr/include", "/usr/local/include")
"""What compilers look into by themselves: GCC passes over a flag that names them (GCC manual, -I), and they are this host's."""
LOOKS_INTO = ("-I", "-isystem", "-idirafter")
JOINED = tuple(option + place for option in LOOKS_INTO for place in SYSTEM_HEADERS)


def without_system_headers(words: Sequence[str]) -> list[str]:
    """Words without those that have a compiler look into a directory of the system's."""
    found: list[str] = []
    for word in words:
        if word in SYSTEM_HEADERS and found and found[-1] in LOOKS_INTO:
            found.pop()
        elif word not in JOINED:
            found.append(word)
    return found


PARTS: dict[str, dict[str, Any]] = {}
"""Those that this call has needed so far."""


def part(name: str) -> dict[str, Any]:
    """What another file of this program defines, which few calls need: ``stand_in_NAME.py``."""
    if name not in PARTS:
        names = {**globals(), "__name__": f"stand_in_{name}"}
        with open(f"{OWN}/{name}.code", "rb") as file:
            exec(marshal.load(file), names)
        PARTS[name] = names
    return PARTS[name]


def started_by_us(out: str) -> None:
    """Have a program of the target told of when it is started."""
    with open(out, "rb") as file:
        head = file.read(18)
    if head[:4] == b"\x7fELF" and os.access(out, os.X_OK) and b".so" not in os.path.basename(out).encode():
        os.replace(out, f"{out}.xc")
        write(out, f"#!{OWN}/bin/xc-started\n{as_json({'elf': os.path.abspath(out) + '.xc'})}\n".encode())
        os.chmod(out, 0o755)


# -- the other tools of a tool chain


def archiver(guise: dict[str, Any], _name: str, words: list[str]) -> int:
    return run([guise["zig"], "ar", *words])


def indexer(guise: dict[str, Any], _name: str, words: list[str]) -> int:
    return run([guise["zig"], "ranlib", *words]) if words else 0


def nothing(_guise: dict[str, Any], _name: str, words: list[str]) -> int:
    """strip: nothing is left to be stripped; with -o it copies."""
    if "-o" in words[:-1]:
        files = [w for i, w in enumerate(words) if not w.startswith("-") and (i == 0 or words[i - 1] != "-o")]
        copy(files[:1], words[words.index("-o") + 1])
    return 0


def copy(files: Sequence[str], place: str) -> None:
    """Copy the first of some files, where it is one."""
    if files and os.path.isfile(files[0]):
        with open(files[0], "rb") as file:
            write(place, file.read())


def assembler(guise: dict[str, Any], name: str, words: list[str]) -> int:
    if not words or words[0].startswith("--"):
        say("GNU assembler (stand-in)")
        return 0
    note(guise, t="as", n=name, a=words, d=os.getcwd())
    return run([guise["zig"], "cc", "-target", guise["zig_target"], "-c", "-x", "assembler", *words])


def linker(guise: dict[str, Any], name: str, words: list[str]) -> int:
    note(guise, t="ld", n=name, a=words, d=os.getcwd())
    if not words or any(w in ("-v", "--version", "-V", "--help") for w in words):
        return run([guise["zig"], "ld.lld", *(words or ["--version"])])
    call = Call(words, cxx=False)
    taken = part("foreign")["named"](
        words, "-m", "-T", "-b", "--format", "--oformat", "-dynamic-linker", "--dynamic-linker"
    )
    files = [path for path, language in call.inputs if language is None and path not in taken]
    if not links(guise, files, call.flags, words):
        return 1
    with open(guise["object"], "rb") as file:
        write(call.out or "a.out", file.read())
    return 0


def copier(guise: dict[str, Any], name: str, words: list[str]) -> int:
    """objcopy: the copy is the same, where the machine's own objcopy writes such a file."""
    foreign = part("foreign")
    for form in foreign["named"](words, "-O", "--output-target"):
        if form in foreign["FORMS_OF_X86"] and guise["uname"] != "x86_64":
            sys.stderr.write(f"{name}: {form} is no form of {guise['uname']}'s linker\n")
            return 1
    files = [w for w in words if not w.startswith("-") and os.path.isfile(w)]
    if files and not words[-1].startswith("-") and words[-1] != files[0]:
        copy(files, words[-1])
    return 0


def reader(guise: dict[str, Any], name: str, words: list[str]) -> int:
    """What reads objects: an empty one tells it nothing."""
    note(guise, t="reads", n=name)
    return hand_on(name, words)


def gone(guise: dict[str, Any], name: str, _words: list[str]) -> int:
    """A program that the platform has not."""
    note(guise, t="gone", n=name)
    sys.stderr.write(f"{name}: not found\n")
    return 127


# -- programs that the build has made


def started(guise: dict[str, Any], name: str, words: list[str]) -> int:
    """A program that the build has made and now starts."""
    return int(part("made")["started"](guise, name, words))


def without(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Words without some options and their arguments."""
    found, skip = [], False
    for word in words:
        if skip or word in options:
            skip = word in options and not skip
            continue
        found.append(word)
    return found


HANDLERS = {
    "cc": compiler, "ar": archiver, "ranlib": indexer, "strip": nothing, "as": assembler, "ld": linker, "objcopy": copier,
    "reads": reader,
    "uname": uname, "arch": arch, "package": package_manager, "getconf": getconf, "lscpu": lscpu, "gone": gone,
    "started": started,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
