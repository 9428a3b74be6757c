"""Builds of C and Go for a target, cached by everything that goes into them."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core import inputs
from pytest_xinchuang.core.errors import BuildFailed, ToolchainFault
from pytest_xinchuang.core.platform import Arch, Architecture
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.messages import _, system_error, verbatim
from pytest_xinchuang.provision.cache import Cache, remove_tree
from pytest_xinchuang.provision.progress import Progress
from pytest_xinchuang.tools.go import GoCause, GoCommand, read_failure, telling_lines
from pytest_xinchuang.tools.process import Finished, Runner, environment
from pytest_xinchuang.tools.versions import MEND, stamp, version_of
from pytest_xinchuang.tools.versions import TIMEOUT_S as ANSWER_TIMEOUT_S

BUILD_TIMEOUT_S = 600
"""Seconds for one unit on a loaded machine, with the compiler's own cache empty."""

_GO_BUILD = ("build", "-trimpath", "-ldflags=-s -w -buildid= -extldflags=-s")
"""The last flag is for cgo: debugging information of zig's start files names the directory in which zig first made them, which
would differ between two builds of one source."""

Builds = Callable[[Path], Path]


@dataclass(frozen=True)
class Target:
    """What to build for.

    Attributes:
        libc_version: the glibc that the result may need at most.
        c_flags: flags for the CPU.
        go_env: GOARM64, GOAMD64.
        library_dirs: directories of the target's root filesystem with shared libraries.
        include_dirs: its header directories.
    """

    arch: Arch
    architecture: Architecture
    libc_version: str
    c_flags: tuple[str, ...] = ()
    go_env: tuple[tuple[str, str], ...] = ()
    library_dirs: tuple[Path, ...] = ()
    include_dirs: tuple[Path, ...] = ()
    sysroot_digest: str = ""

    def key(self) -> list[object]:
        """What of the target goes into a build; places in the file system do not."""
        return [self.arch, self.libc_version, self.c_flags, self.go_env, self.sysroot_digest]


def find_zig() -> str:
    """The zig program: of the PyPI package ziglang, else on PATH.

    Raises:
        ToolchainFault: there is none.
    """
    spec = importlib.util.find_spec("ziglang")
    if spec is not None and spec.origin:
        program = Path(spec.origin).with_name("zig")
        if program.is_file():
            return str(program)
    if path := shutil.which("zig"):
        return path
    raise ToolchainFault(_("zig is not installed, and C units are built with it"), mend=verbatim(MEND))


def gnu_compiler(architecture: Architecture) -> str | None:
    """Debian's GNU (cross) compiler for this architecture, when it is installed."""
    return shutil.which(f"{architecture.triplet}-gcc")


def gnu_libc_version(compiler: str, runner: Runner | None = None) -> str | None:
    """The glibc that a GNU compiler links against, read from the libc that it names; None when it has none."""
    return _gnu_libc_version(compiler, stamp(compiler), runner or Runner())


@functools.cache
def _gnu_libc_version(compiler: str, _stamp: tuple[int, int], runner: Runner) -> str | None:
    library = Path(runner.run([compiler, "-print-file-name=libc.so.6"], timeout_s=ANSWER_TIMEOUT_S).text.strip())
    if not library.is_absolute() or not library.is_file():
        return None
    found = re.search(rb"GNU C Library .*?version (\d+\.\d+)", library.read_bytes())
    return found.group(1).decode() if found else None


def find_c_compiler(target: Target, runner: Runner | None = None) -> tuple[list[str], str]:
    """What compiles C for ``target``, and its version: zig, or a GNU compiler whose glibc is old enough.

    Raises:
        ToolchainFault: there is neither. A GNU compiler with a newer glibc is not used: its own symbol versions would be
            taken for the subject's.
    """
    try:
        zig = find_zig()
        wanted = f"{target.architecture.zig}.{target.libc_version}"
        return [zig, "cc", "-target", wanted], version_of(zig, "version", runner=runner)
    except ToolchainFault as fault:
        compiler = gnu_compiler(target.architecture)
        libc = gnu_libc_version(compiler, runner) if compiler else None
        if compiler is None or libc is None:
            raise
        if version_key(libc) > version_key(target.libc_version):
            raise ToolchainFault(
                _(
                    "{what}; {name} links against glibc {libc}, newer than {libc_version}",
                    what=fault.what,
                    name=Path(compiler).name,
                    libc=libc,
                    libc_version=target.libc_version,
                ),
                mend=verbatim(MEND),
            ) from None
        return [compiler], version_of(compiler, "--version", runner=runner)


class Builder:
    """Builds into the cache; the same inputs are built once.

    All methods raise ToolchainFault when the tool is missing or breaks, BuildFailed when it refuses the source.
    """

    def __init__(self, cache: Cache, progress: Progress | None = None, runner: Runner | None = None) -> None:
        self.cache = cache
        self.progress = progress or Progress(quiet=True)
        self.runner = runner or Runner()

    def c(
        self,
        target: Target,
        sources: Sequence[Path],
        *,
        flags: Sequence[str] = (),
        libraries: Sequence[str] = (),
        shared: bool = False,
        with_objects: Mapping[str, bytes] | None = None,
        salt: str = "",
        within: Path | None = None,
    ) -> bytes:
        """Compile and link C sources; returns the program or shared object.

        The compiler is given a copy of the sources and of what they include, and nothing that stands beside them.

        Args:
            within: the directory whose files it may be given, and that relative ``-I`` start from; None: any.
            libraries: names for ``-l``.
            with_objects: shared objects, by file name, to link with.
            salt: another salt builds again, in another directory, time zone and locale (for reproducibility checks).
        """
        sources = [Path(os.path.abspath(source)) for source in sources]  # noqa: PTH100 - links are kept
        compiler, version = find_c_compiler(target, self.runner)
        # clang's names for CPUs are not GCC's.
        tuned = target.c_flags if compiler[-1] != compiler[0] else ()
        argv = [
            *compiler,
            "-O2",
            "-g0",
            "-s",
            "-ffile-prefix-map={here}=.",
            "-ffile-prefix-map={tree}=.",
            *tuned,
            *flags,
        ]
        argv += [f"-I{d}" for d in target.include_dirs]
        if shared:
            argv += ["-shared", "-fPIC"]
        key = ["c", Path(compiler[0]).name, version, target.key(), list(flags), list(libraries), shared, salt]
        tree = _Tree.of_c(sources, flags, within)
        key += [
            tree.digests(),
            {k: hashlib.sha256(v).hexdigest() for k, v in (with_objects or {}).items()},
        ]

        def build(here: Path) -> Path:
            for name, data in (with_objects or {}).items():
                (here / name).write_bytes(data)
            out = here / "out"
            place = tree.copy_to(here / "src")
            copies = [str(source.relative_to(tree.base)) for source in sources]
            words = [*argv, "-o", str(out), *copies, f"-L{here}", "-Wl,--allow-shlib-undefined"]
            words += [f"-L{d}" for d in target.library_dirs]
            words += [f"-l:{name}" for name in with_objects or {}] + [f"-l{name}" for name in libraries]
            env = {"ZIG_GLOBAL_CACHE_DIR": self._compilers("zig", salt), "ZIG_LOCAL_CACHE_DIR": str(here / "zig")}
            env |= _other_circumstances(salt)
            first = str(place / sources[0].parent.relative_to(tree.base))
            words = [word.replace("{here}", first).replace("{tree}", str(place)) for word in words]
            self._compile(words, environment(env), place)
            return out

        return self._cached(f"build {sources[0].name} for {target.arch}", key, build)

    def go(
        self,
        target: Target,
        directory: Path,
        *,
        cgo: bool = False,
        flags: Sequence[str] = (),
        salt: str = "",
        within: Path | None = None,
    ) -> bytes:
        """Build the Go main package in ``directory``; with cgo through zig.

        The go command is given a copy of the module, of its local replacements, and of what cgo names beside them.

        Args:
            within: the directory whose files it may be given; None: any.
        """
        # Nothing is fetched behind the user's back: neither modules nor another tool chain.
        go = GoCommand(
            self.runner,
            offline=True,
            build_cache=Path(self._compilers("gocache", salt)),
            module_cache=self.cache.root / "gomodcache",
        )
        changes = {
            "GOOS": "linux",
            "GOARCH": str(target.arch),
            "CGO_ENABLED": "1" if cgo else "0",
            **dict(target.go_env),
        }
        key = ["go", go.version, target.key(), cgo, [*_GO_BUILD, *flags], salt]
        tree = _Tree.of_go(directory, within)
        key.append(tree.digests())
        if cgo:
            zig = find_zig()
            key.append(version_of(zig, "version", runner=self.runner))
            cc = f"{zig} cc -target {target.architecture.zig}.{target.libc_version} {' '.join(target.c_flags)}"
            changes |= {"CC": cc, "ZIG_GLOBAL_CACHE_DIR": self._compilers("zig", salt)}

        def build(here: Path) -> Path:
            out = here / "out"
            argv = [go.program, *_GO_BUILD, *flags, "-o", str(out), "."]
            env = go.environment(
                {**changes, "HOME": str(here), "ZIG_LOCAL_CACHE_DIR": str(here / "zig")} | _other_circumstances(salt)
            )
            place = tree.copy_to(here / "src") / directory.relative_to(tree.base)
            self._build_go(argv, env, place)
            return out

        return self._cached(f"build {directory.name} for {target.arch}", key, build)

    def _compilers(self, name: str, salt: str) -> str:
        """Where a compiler keeps what it has built; a second build takes nothing over from the first."""
        return str(self.cache.root / (f"{name}-{salt}" if salt else name))

    def _run(self, argv: list[str], env: Mapping[str, str], cwd: Path) -> Finished:
        return self.runner.run(argv, timeout_s=BUILD_TIMEOUT_S, cwd=cwd, env=env).exited(ToolchainFault, mend=MEND)

    def _compile(self, argv: list[str], env: Mapping[str, str], cwd: Path) -> None:
        done = self._run(argv, env, cwd)
        if done.ok:
            return
        _need_whole(argv, done)
        lines = done.errors.strip().splitlines()
        telling = (line for line in lines if "error" in line or re.match(r"\S+:\d+", line))
        raise _refused(next(telling, lines[-1] if lines else ""), argv, done)

    def _build_go(self, argv: list[str], env: Mapping[str, str], cwd: Path) -> None:
        done = self._run(argv, env, cwd)
        if done.ok:
            return
        _need_whole(argv, done)  # zig, which cgo calls
        failure = read_failure(done.errors)
        if failure.cause is not GoCause.SUBJECT:
            raise ToolchainFault(failure.told(), mend=verbatim(failure.mend))
        lines = telling_lines(done.errors)
        telling = (line for line in lines if "error" in line or re.match(r"\S+:\d+", line))
        raise _refused(next(telling, failure.line), argv, done)

    def _cached(self, label: str, key: list[object], build: Builds) -> bytes:
        name = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
        place = self.cache.root / "builds" / name
        if (data := _intact(place)) is not None:
            return data
        with self.cache.lock(f"build-{name[:16]}"):
            if (data := _intact(place)) is not None:
                return data
            scratch = self.cache.root / "tmp" / f"build-{name[:16]}"
            remove_tree(scratch)
            scratch.mkdir()
            try:
                with self.progress.step(label, usually_short=key[0] == "c") as step:
                    step.starts()
                    data = build(scratch).read_bytes()
                part = scratch / "part"
                part.write_bytes(hashlib.sha256(data).digest() + data)
                part.rename(place)
            except OSError as error:
                raise ToolchainFault(
                    _("a build could not be kept in {root}: {why}", root=self.cache.root, why=system_error(error)),
                    mend=_(
                        "make room in {directory}, or export XC_CACHE=/another/directory", directory=self.cache.root
                    ),
                ) from error
            finally:
                remove_tree(scratch)
        return data


def _need_whole(argv: list[str], done: Finished) -> None:
    """Raises ToolchainFault when a compiler broke, and refused nothing."""
    if re.search(r"No space left on device|OutOfMemory|error: unable to (?:open|create)", done.errors):
        raise ToolchainFault(_("{program} broke: {said}", program=Path(argv[0]).name, said=done.errors.strip()[-300:]))


def _refused(line: str, argv: list[str], done: Finished) -> BuildFailed:
    why = _("does not build: {line}", line=line or _("no message"))
    return BuildFailed(why, argv=argv, output=done.errors)


def _other_circumstances(salt: str) -> dict[str, str]:
    """For a second build: what must not show in the result. The time zone moves the clock that ``__TIME__`` is read from."""
    return (
        {"TZ": "Asia/Shanghai", "LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8", "USER": "another"}
        if salt
        else {"TZ": "UTC", "LC_ALL": "C"}
    )


def _intact(place: Path) -> bytes | None:
    try:
        raw = place.read_bytes()
    except OSError:
        return None
    data = raw[32:]
    return data if hashlib.sha256(data).digest() == raw[:32] else None


@dataclass(frozen=True)
class _Tree:
    """The files that one build may read, by the directory that they all are below."""

    base: Path
    files: tuple[Path, ...]

    @classmethod
    def of_c(cls, sources: Sequence[Path], flags: Sequence[str], within: Path | None) -> _Tree:
        here, base = sources[0].parent, within or Path.cwd()
        forced = inputs.forced_includes(flags, here, base)
        with _readable():
            files = inputs.included([*sources, *forced], inputs.include_dirs(flags, here, base), within)
        return cls(within or _common(files), tuple(files))

    @classmethod
    def of_go(cls, directory: Path, within: Path | None) -> _Tree:
        with _readable():
            files = inputs.of_go(directory, within)
        if not files:
            raise BuildFailed(_("there is no file in {directory}", directory=directory), argv=[], output="")
        return cls(within or _common([*files, directory / "go.mod"]), tuple(files))

    def digests(self) -> list[tuple[str, str]]:
        with _readable():
            return [
                (str(path.relative_to(self.base)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in self.files
            ]

    def copy_to(self, place: Path) -> Path:
        """Write the files below ``place``; returns it."""
        for path in self.files:
            target = place / path.relative_to(self.base)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        return place


def _common(files: Iterable[Path]) -> Path:
    return Path(os.path.commonpath([path.parent for path in files]))


@contextmanager
def _readable() -> Iterator[None]:
    """A source that cannot be read is a build that failed."""
    try:
        yield
    except OSError as error:
        raise BuildFailed(
            _("cannot read the source {filename}: {why}", filename=error.filename, why=system_error(error)),
            argv=[],
            output="",
        ) from error
