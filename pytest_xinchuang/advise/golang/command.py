"""The go command over a tree that nobody vouches for: behind the wall, with the compilers of cgo for each target."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_xinchuang.advise.golang.builds import NO_BODY, Built, built_of, problems_in
from pytest_xinchuang.advise.golang.packages import FIELDS, GoPackage, Listing, listing_of
from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.errors import HostFault, ToolchainFault
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.toolchain.builder import find_zig
from pytest_xinchuang.toolchain.jail import Sights
from pytest_xinchuang.toolchain.site import homes, plain_environment
from pytest_xinchuang.tools.go import GoCause, GoCommand, GoRun, read_failure
from pytest_xinchuang.tools.gomod import go_key
from pytest_xinchuang.tools.process import Finished
from pytest_xinchuang.tools.versions import toolchains

LIST_TIMEOUT_S = 300
"""Seconds for listing a module's packages, fetching what it needs among it."""
BUILD_TIMEOUT_S = 900
"""Seconds for building a module's packages for one target with an empty cache."""

_ARMS = Path(__file__).parent / "arms"
"""The source of what reads which arms of ``runtime.GOARCH`` refuse."""

OLDEST = "1.24"
"""The Go that has `go build -json` (Go 1.24 release notes)."""

_MOST_WORDS = 60_000
"""Bytes of packages' names on one command line: Linux takes 128 KiB in one argument (MAX_ARG_STRLEN), and the wall's orders
are one."""

_SETTING = re.compile(
    r"GO(?!DEBUG|GC|MEMLIMIT|TRACEBACK|TMPDIR|MAXPROCS)[A-Z0-9]*|CGO_ENABLED|CC|CXX|AR|ZIG_[A-Z_]+|XDG_CONFIG_HOME"
)
"""What of the go command's environment is made here, and nothing of the caller's."""


@dataclass(frozen=True)
class Config:
    """What packages are built for.

    Attributes:
        triple: the architecture, and the libc that cgo compiles against.
        cgo: CGO_ENABLED.
    """

    triple: Triple
    cgo: bool

    @property
    def told(self) -> str:
        """As a user would type it."""
        return f"GOARCH={self.triple.arch} CGO_ENABLED={int(self.cgo)}"


@dataclass(frozen=True)
class GoModule:
    """A module of the tree.

    Attributes:
        directory: a name in the tree; "" is its root.
        workspace: the go.work that lists it, absolute; None: none.
    """

    directory: str
    workspace: Path | None = None


@dataclass(frozen=True)
class Refusal:
    """Where a source refuses an architecture by its name.

    Attributes:
        does: "panic", "exit" or "error".
    """

    file: Path
    line: int
    function: str
    does: str


@dataclass
class GoJail:
    """Lists and builds packages of one tree.

    Raises:
        ToolchainFault: there is no Go, or one that is too old.
    """

    root: Path
    work: Work
    program: str = field(init=False)

    def __post_init__(self) -> None:
        kept = self.work.kept or self.work.scratch
        self._go = GoCommand(self.work.runner, offline=True, build_cache=kept / "go-build")
        self._online = GoCommand(self.work.runner, offline=False, build_cache=kept / "go-build")
        self._zig = kept / "zig"
        self._here = self.work.scratch / "go"
        for place in (kept / "go-build", self._zig, *(self._here / n for n in ("tmp", "jail", "above", "modules"))):
            place.mkdir(parents=True, exist_ok=True)
        self.program = self._go.program
        have = self._go.settings["GOVERSION"].removeprefix("go")
        if have[:1].isdigit() and go_key(have) < go_key(OLDEST):
            raise ToolchainFault(
                _(
                    "Go {have} is too old: {needed} or later tells of builds so that it can be read",
                    have=have,
                    needed=OLDEST,
                ),
                mend=toolchains(),
            )

    @property
    def version(self) -> str:
        """The Go that judges, e.g. "go1.26.1"."""
        return self._go.settings["GOVERSION"]

    def listing(self, module: GoModule, config: Config, packages: Sequence[str] = ("./...",)) -> Listing:
        """The packages of a module, and what they need, as a configuration has them.

        Raises:
            HostFault: the go command could not say, by a fault of this host's or because something may not be fetched.
            XcError: the module itself cannot be read.
        """
        words = ["list", "-e", "-deps", f"-json={FIELDS}"]
        found: dict[str, GoPackage] = {}
        for some in _chunks(packages):
            found |= self._listed([*words, *some], module, config)
        # In a workspace ./... stands for packages of modules below as well, which are judged by themselves.
        home = str(self.root / module.directory)
        others = (p for p in found.values() if p.matched and p.home and p.home != home)
        return found | {p.path: replace(p, matched=False) for p in others}

    def _listed(self, words: Sequence[str], module: GoModule, config: Config) -> Listing:
        finished = self._run(words, module, config, LIST_TIMEOUT_S)
        listing = listing_of(finished.text)
        if not self.work.offline and _unfetched(finished, listing):
            # Behind the wall there is no network. Listing runs nothing of the tree's.
            run = self._fetched(words, module, config)
            finished, listing = run.finished, listing_of(run.finished.text)
        if not finished.ok or (not listing and not GoRun((), finished).matched_nothing):
            raise read_failure(finished.errors).error(verbatim("go list"))
        return listing

    def _fetched(self, words: Sequence[str], module: GoModule, config: Config) -> GoRun:
        seconds = self.work.budget.within(LIST_TIMEOUT_S)
        changes = self._changes(module, config)
        place = self.root / module.directory
        return self._online.run(
            words, place, changes=changes, workspace=module.workspace is not None, timeout_s=seconds
        )

    def build(self, module: GoModule, config: Config, packages: Sequence[str]) -> Built:
        """Build some packages, and link those that are programs.

        Raises:
            HostFault: this host could not do it.
        """
        failed: dict[str, str] = {}
        for some in _chunks(packages):
            # -e: all errors and not the first ten. A build that is thrown away needs no tables for debuggers.
            words = ["build", "-json", "-gcflags=all=-e -errorurl", "-ldflags=-s -w", "-o", "/dev/null", *some]
            finished = self._run(words, module, config, BUILD_TIMEOUT_S)
            built = built_of(finished.text)
            if not finished.ok and not built.failed:
                raise read_failure(finished.errors + finished.text).error(verbatim("go build"))
            for path, said in built.failed.items():
                why = read_failure(f"# {path}\n{said}")
                if why.cause is GoCause.HOST:
                    raise why.error(verbatim(f"go build {path}"))
            failed |= built.failed
        return Built(failed)

    def without_body(self, module: GoModule, config: Config, package: str) -> frozenset[str]:
        """The functions that a package declares without a body, and that no other is linked to by name.

        -complete tells the compiler that there is no assembler (cmd/compile), so that it names each of them.
        """
        words = ["build", "-json", f"-gcflags={package}=-e -complete", "-o", "/dev/null", package]
        said = built_of(self._run(words, module, config, BUILD_TIMEOUT_S).text).failed.get(package, "")
        root = self.root / module.directory
        found = set()
        for problem in problems_in(said):
            if NO_BODY.fullmatch(problem.text) and (text := _line(root / problem.file, problem.line)):
                found |= set(re.findall(r"^func (\w+)\(", text))
        return frozenset(found)

    def symbols(self, directory: Path, sources: Sequence[str], config: Config) -> frozenset[str]:
        """The functions that sources in assembler define, as the assembler says; none where it cannot read them."""
        out = self._here / "tmp" / "symabis"
        goroot = self._go.settings["GOROOT"]
        include = ["-I", f"{goroot}/pkg/include", "-D", "GOOS_linux", "-D", f"GOARCH_{config.triple.arch}"]
        names = [str(directory / name) for name in sources]
        words = ["tool", "asm", "-p", "p", *include, "-gensymabis", "-o", str(out), *names]
        out.unlink(missing_ok=True)
        finished = self._run(words, GoModule(""), config, LIST_TIMEOUT_S)
        if not finished.ok or not out.is_file():
            return frozenset()
        return frozenset(
            re.findall(r"^def (?:p|\"\")?\.(\S+) ", out.read_text(encoding="utf-8", errors="replace"), re.M)
        )

    def refusals(self, files: Sequence[Path], arch: str, other: str) -> list[Refusal]:
        """Where sources refuse an architecture by ``runtime.GOARCH``, and not another one: they are read, and not run.

        Raises:
            ToolchainFault: the reader does not build, or did not end in time.
        """
        if not files:
            return []
        program = self._here / "arms"
        if not program.is_file():
            words = ["build", "-trimpath", "-o", str(program), "."]
            run = self._go.run(words, _ARMS, changes={"CGO_ENABLED": "0"}, mod="mod")
            if run.failure is not None:
                raise run.failure.error(verbatim("go build"))
        found = []
        for some in _chunks([str(file) for file in files]):
            finished = self.work.runner.run(
                [str(program), arch, other, *some], timeout_s=self.work.budget.within(LIST_TIMEOUT_S)
            )
            for one in json.loads(finished.exited(ToolchainFault).text or "[]"):
                found.append(Refusal(Path(one["file"]), int(one["line"]), str(one["in"]), str(one["does"])))
        return found

    def edited(self, kind: str, file: Path) -> Mapping[str, object]:
        """What go.mod (``mod``) or go.work (``work``) says, as the go command reads it.

        Raises:
            XcError: it cannot be read.
        """
        run = self._go.run([kind, "edit", "-json", str(file)], file.parent, timeout_s=LIST_TIMEOUT_S)
        if run.failure is not None:
            raise run.failure.error(verbatim(f"go {kind} edit"))
        said: Mapping[str, object] = json.loads(run.finished.text)
        return said

    def _changes(self, module: GoModule, config: Config) -> dict[str, str]:
        changes = {"GOOS": "linux", "GOARCH": str(config.triple.arch), "CGO_ENABLED": str(int(config.cgo))}
        if module.workspace is not None:
            changes["GOWORK"] = str(module.workspace)
        return changes

    def _run(self, words: Sequence[str], module: GoModule, config: Config, timeout_s: float) -> Finished:
        """Run the go command behind the wall: it reads the tree, and writes its caches.

        Raises:
            ToolchainFault: it cannot be run, or did not end in time.
        """
        if self.work.budget.spent:
            raise HostFault(_("the time that it may take is over"))
        changes = self._changes(module, config)
        roots = [Path(self.program).resolve().parent.parent, Path(self._go.settings["GOROOT"]), self.root]
        tmp = self._here / "tmp"
        if config.cgo:
            zig = find_zig()
            roots += homes(zig, gnu=False)
            target = f"{zig} {{}} -target {config.triple.zig}"
            changes |= {"CC": target.format("cc"), "CXX": target.format("c++"), "AR": f"{zig} ar"}
            changes |= {"ZIG_GLOBAL_CACHE_DIR": str(self._zig), "ZIG_LOCAL_CACHE_DIR": str(tmp / "zig")}
        changes["GOPATH"] = str(tmp / "go")
        everything = self._go.environment(changes, workspace=module.workspace is not None)
        ours = {name: value for name, value in everything.items() if _SETTING.fullmatch(name)}
        env = ours | plain_environment(tmp) | {"TZ": "UTC", "LC_ALL": "C"}
        modules = Path(env.setdefault("GOMODCACHE", str(self._here / "modules")))
        modules.mkdir(parents=True, exist_ok=True)
        written = (tmp, Path(env["GOCACHE"]), self._zig)
        sights = Sights(tuple(roots), written, {modules: self._here / "above"})
        return self.work.jail.run(
            [self.program, *words],
            sights,
            scratch=self._here / "jail",
            cwd=self.root / module.directory,
            env=env,
            timeout_s=self.work.budget.within(timeout_s),
        ).finished


def _line(path: Path, number: int) -> str:
    """A line of a file; "" for one that it has not."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return next(itertools.islice(file, number - 1, number), "")
    except OSError:
        return ""


def _chunks(packages: Sequence[str]) -> Iterator[list[str]]:
    some: list[str] = []
    size = 0
    for name in packages:
        if some and size + len(name) > _MOST_WORDS:
            yield some
            some, size = [], 0
        some.append(name)
        size += len(name) + 3
    if some:
        yield some


def _unfetched(finished: Finished, listing: Listing) -> bool:
    """Whether something is missing that could be fetched."""
    said = [package.error for package in listing.values() if package.error]
    if not finished.ok:
        said.append(finished.errors)
    return any(read_failure(text).cause is GoCause.OFFLINE for text in said)
