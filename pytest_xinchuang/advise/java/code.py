"""Sources of Java as javac reads them, and what of them is run under the platforms' os.arch.

Sources: the documentation of System.getProperty, System.loadLibrary and jdk.compiler (com.sun.source) of JDK 17; JNA's Native.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_xinchuang.advise.arms import KNOWN_X86, names_machine
from pytest_xinchuang.advise.aside import is_aside
from pytest_xinchuang.advise.natives import natives_of, tell_load
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.errors import ToolchainFault, XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.toolchain.jail import Sights
from pytest_xinchuang.tools.versions import version_of

READER, HARNESS = Path(__file__).with_name("Reader.java"), Path(__file__).with_name("Harness.java")
READ_S = 120.0
"""Seconds for reading all sources: javac parses some 10,000 files in half a minute."""
RUN_S = 20.0
"""Seconds for all methods under one os.arch."""
_OPTIONS = (
    "-Xmx1g",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xss4m",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
)
MOST_JARS = 200
"""Jars of a tree that its sources are compiled with."""


@dataclass(frozen=True)
class Method:
    """A static method without parameters that asks for os.arch; ``<clinit>`` is the start of a class."""

    file: str
    line: int
    end: int
    type: str
    name: str


@dataclass(frozen=True)
class Ended:
    """How it ended: a value, or an error of a line (0: none of its file)."""

    value: str = ""
    error: str = ""
    at: int = 0
    message: str = ""


@dataclass
class Read:
    """What was read of all sources.

    Attributes:
        loads: (file, line, library, guarded).
        decisions: (file, line, end, it throws, names).
        unsure: (file, line, end) of what looks something up by os.arch, or refuses something by it, and names no machine.
        natives: (file, line, method).
        throws: file -> the lines of ``throw``.
    """

    read: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    loads: list[tuple[str, int, str, bool]] = field(default_factory=list)
    decisions: list[tuple[str, int, int, bool, frozenset[str]]] = field(default_factory=list)
    unsure: list[tuple[str, int, int]] = field(default_factory=list)
    natives: list[tuple[str, int, str]] = field(default_factory=list)
    methods: list[Method] = field(default_factory=list)
    throws: dict[str, set[int]] = field(default_factory=dict)
    compiled: set[str] = field(default_factory=set)


class Java:
    """The JDK of this host, behind the wall.

    Raises:
        ToolchainFault: there is none with a compiler.
    """

    def __init__(self, work: Work) -> None:
        java, javac = shutil.which("java"), shutil.which("javac")
        if java is None or javac is None:
            raise ToolchainFault(
                _("there is no JDK, and sources of Java are read by its compiler"),
                mend=_("install a JDK of version 17 or later"),
            )
        self.work = work
        self.program = os.path.realpath(javac).replace("/bin/javac", "/bin/java")
        home = Path(self.program).parent.parent
        system = [Path(n) for n in ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives")]
        # Debian's JDK keeps its configuration there.
        self.roots = (*system, home, *sorted(Path("/etc").glob("java-*")))
        self.version = version_of(self.program, "--version", runner=work.runner)

    def run(self, words: Iterable[str], read: Iterable[Path], out: Path, seconds: float) -> bool:
        """Run it to its exit; whether that was 0."""
        scratch = out.parent
        run = self.work.jail.run(
            [self.program, *_OPTIONS, *words],
            Sights((*self.roots, *read), (out,)),
            scratch=scratch,
            cwd=out,
            env={"PATH": "/usr/bin:/bin", "HOME": str(out), "TMPDIR": str(out), "LC_ALL": "C.UTF-8"},
            timeout_s=self.work.budget.within(seconds),
        )
        return run.finished.ok


def survey_code(tree: SourceTree, work: Work) -> Surveyed:
    """Read all sources, run what asks for os.arch, and compare each platform with x86-64."""
    said = Surveyed()
    sources = tree.named("*.java")
    java = Java(work)
    out = work.scratch / "java" / "out"
    (out / "classes").mkdir(parents=True, exist_ok=True)
    found = _read(tree, java, sources, out, compiles=work.build)
    arches = dict.fromkeys(_os_arch(a) for a in (work.baseline.architecture, *(p.architecture for p in work.platforms)))
    runs: dict[str, Mapping[Method, Ended]] = {name: {} for name in arches}
    methods = [m for m in found.methods if m.file in found.compiled]
    lost = NOTHING
    if methods and work.build:
        try:
            for name in arches:
                runs[name] = _ran(java, tree, methods, name, out)
        except XcError as fault:
            lost = fault.what
    base = runs[_os_arch(work.baseline.architecture)]
    broken = len(sources) - len(found.read)
    why: list[tuple[Message, int]] = [(_("javac cannot read it"), broken)] if broken else []
    why += [(lost, len(methods))] if lost else []
    passed = _passed(found, base)
    why += [(_("methods in it go by os.arch, and were not run"), len(passed))] if passed else []
    for platform in work.platforms:
        judge = Judge(platform)
        arch = _os_arch(platform.architecture)
        if arch != _os_arch(work.baseline.architecture):
            _decisions(judge, found, base, runs[arch])
        _loads(judge, tree, found)
        _natives(judge, tree, found)
        said.add(
            [platform.id],
            Part(
                _("Java"),
                len(found.read - passed),
                len(sources),
                by=_("javac of {version}", version=verbatim(java.version)),
                why=tuple(why),
            ),
        )
        said.findings += judge.findings
    return said


def _os_arch(architecture: Architecture) -> str:
    return architecture.names.get("os_arch", architecture.uname)


def _read(tree: SourceTree, java: Java, sources: list[str], out: Path, *, compiles: bool) -> Read:
    orders, facts = out.parent / "orders", out / "facts"
    lines = [f"root {tree.root}", *(f"file {name}" for name in sources if "\n" not in name)]
    if compiles:
        jars = tree.named("*.jar")[:MOST_JARS]
        lines += [f"jar {tree.root / name}" for name in jars]
        lines += [f"classes {out / 'classes'}", f"harness {HARNESS}"]
    orders.write_text("\n".join(lines) + "\n", encoding="utf-8")
    java.run([str(READER), str(orders), str(facts)], (tree.root, READER, HARNESS, orders), out, READ_S)
    found = Read()
    for fields in _lines(facts):
        try:
            _note(found, fields)
        except (ValueError, IndexError):
            continue
    return found


def _lines(path: Path) -> Iterator[list[str]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        yield line.split("\t")


def _note(found: Read, fields: list[str]) -> None:
    kind, name, *rest = fields
    if kind == "read":
        found.read.add(name)
    elif kind == "broken":
        found.broken.add(name)
    elif kind == "compiled":
        found.compiled.add(name)
    elif kind == "load":
        found.loads.append((name, int(rest[0]), rest[1].rpartition("/")[2], rest[2] == "guarded"))
    elif kind == "native":
        found.natives.append((name, int(rest[0]), rest[1]))
    elif kind == "decide":
        names = frozenset(text.lower() for text in rest[3:])
        found.decisions.append((name, int(rest[0]), int(rest[1]), rest[2] == "refuses", names))
    elif kind == "unsure":
        found.unsure.append((name, int(rest[0]), int(rest[1])))
    elif kind == "method":
        found.methods.append(Method(name, int(rest[0]), int(rest[1]), rest[2], rest[3]))
    elif kind == "throw":
        found.throws.setdefault(name, set()).update(range(int(rest[0]), min(int(rest[1]), int(rest[0]) + 50) + 1))


def _ran(java: Java, tree: SourceTree, methods: list[Method], arch: str, out: Path) -> dict[Method, Ended]:
    """How methods end under one os.arch; what ends the virtual machine is run no further."""
    orders, results = out.parent / f"run-{arch}", out / f"ran-{arch}"
    known = {f"{m.file}\t{m.line}\t{m.type}\t{m.name}": m for m in methods if "\t" not in m.file}
    waiting, ended = list(known), dict[Method, Ended]()
    jars = [str(tree.root / name) for name in tree.named("*.jar")[:MOST_JARS]]
    path = os.pathsep.join([str(out / "classes"), *jars])
    for _again in range(4):  # each that ends the virtual machine asks for another
        orders.write_text("".join(f"{key}\n" for key in waiting), encoding="utf-8")
        results.unlink(missing_ok=True)
        words = [f"-Dos.arch={arch}", "-Dos.name=Linux", "-cp", path, "Harness", str(orders), str(results)]
        java.run(words, (tree.root, orders), out, RUN_S)
        began = ""
        for how, *fields in _lines(results):
            key = "\t".join(fields[:4])
            if key not in known:
                continue
            began = key if how == "began" else ""
            if how == "ended":
                ended[known[key]] = _ended(fields[4:])
        if not began:
            break
        ended[known[began]] = Ended(error="System.exit")
        waiting = waiting[waiting.index(began) + 1 :] if began in waiting else []
        if not waiting:
            break
    return ended


def _ended(said: list[str]) -> Ended:
    if said[:1] == ["error"] and len(said) >= 4:
        return Ended(error=said[1], at=int(said[2]) if said[2].isdigit() else 0, message=said[3])
    return Ended(value=said[1] if len(said) > 1 else "")


def _decisions(judge: Judge, found: Read, base: Mapping[Method, Ended], there: Mapping[Method, Ended]) -> None:
    arch = _os_arch(judge.platform.architecture)
    settled: dict[str, list[tuple[int, int]]] = {}
    for method, run in there.items():
        before = base.get(method)
        if before is None or before.error:
            continue  # it does not run on x86-64 by itself either
        settled.setdefault(method.file, []).append((method.line, method.end))
        if run.error:
            explicit = run.at in found.throws.get(method.file, ()) or run.error == "System.exit"
            kind = run.error.rpartition(".")[2]
            certainty = Certainty.CERTAIN if explicit else Certainty.GUARDED
            what = (
                _("the class {type} throws {error} when it is loaded", type=verbatim(method.type), error=verbatim(kind))
                if method.name == "<clinit>"
                else _("{function} raises {error}", function=verbatim(f"{method.name}()"), error=verbatim(kind))
            )
            _find(judge, method.file, run.at or method.line, certainty, what, {"message": run.message})
        elif before.value not in ("", "null") and run.value == "null":
            what = _("{function} returns nothing", function=verbatim(f"{method.name}()"))
            _find(judge, method.file, method.line, Certainty.GUARDED, what, {})
    for name, line, end, refuses, names in found.decisions:
        of_x86 = bool(names & KNOWN_X86)
        if not refuses or not of_x86 or names_machine(names, arch, judge.platform.architecture.aliases):
            continue
        if not any(a <= line and end <= b for a, b in settled.get(name, ())):
            _find(judge, name, line, Certainty.GUARDED, _("what it does not name is refused"), {})


def _passed(found: Read, base: Mapping[Method, Ended]) -> set[str]:
    """The files of which something goes by os.arch that was neither run on x86-64 nor can be read."""
    ran = [(m.file, m.line, m.end) for m, run in base.items() if not run.error]
    return {
        name
        for name, line, end in found.unsure
        if not is_aside(name) and not any(name == file and a <= line and end <= b for file, a, b in ran)
    }


def _find(judge: Judge, name: str, line: int, certainty: Certainty, what: Message, evidence: dict[str, object]) -> None:
    place = f"{name}:{line}"
    if any(f.object == place and f.code == "XC-ADV-081" for f in judge.findings):
        return
    certainty = Certainty.NOTE if is_aside(name) else certainty
    judge.find("XC-ADV-081", certainty, place, evidence, what=what, machine=_os_arch(judge.platform.architecture))


def _loads(judge: Judge, tree: SourceTree, found: Read) -> None:
    if found.loads:
        shipped = natives_of(tree)
        for name, line, library, guarded in found.loads:
            files, aside = shipped.named(library), guarded or is_aside(name)
            tell_load(judge, tree, files, f"{name}:{line}", library, guarded=aside)


def _natives(judge: Judge, tree: SourceTree, found: Read) -> None:
    """Native methods whose functions stand in C sources of the tree (JNI: Java_PACKAGE_CLASS_METHOD)."""
    if not found.natives:
        return
    texts = {
        name: text for name in tree.named("*.c", "*.cc", "*.cpp", "*.cxx") if "Java_" in (text := tree.text(name) or "")
    }
    for name, line, method in found.natives:
        mangled = "Java_" + re.sub(r"[.$/]", "_", method.replace("_", "_1"))
        source = next((each for each, text in texts.items() if mangled in text), None)
        if source is not None:
            judge.find("XC-ADV-085", Certainty.NOTE, f"{name}:{line}", method=method, source=source)
