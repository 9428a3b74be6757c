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

from pytest_xinchuang.core.errors import BuildFailed, ToolchainFault
from pytest_xinchuang.core.platform import Arch, Architecture
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.messages import _, system_error, verbatim
from pytest_xinchuang.provision.cache import Cache, remove_tree
from pytest_xinchuang.provision.progress import Progress
from pytest_xinchuang.provision.trees import writing_mend
from pytest_xinchuang.toolchain.compilers import Identities, Tool
from pytest_xinchuang.toolchain.digests import Digests, stamp_of
from pytest_xinchuang.toolchain.jail import Jail, Sights
from pytest_xinchuang.toolchain.made import Made, named_in
from pytest_xinchuang.toolchain.permitted import FlagsOf
from pytest_xinchuang.toolchain.site import (
    GO_FILES,
    Site,
    Work,
    files_of,
    filled,
    homes,
    layers_over,
    packages_in,
    placed,
    plain_environment,
    rules_of,
    traced,
)
from pytest_xinchuang.toolchain.tree import Tree
from pytest_xinchuang.tools.go import GoCause, GoCommand, read_failure, telling_lines
from pytest_xinchuang.tools.process import EXE, Finished, Runner
from pytest_xinchuang.tools.versions import TIMEOUT_S as ANSWER_TIMEOUT_S
from pytest_xinchuang.tools.versions import stamp, toolchains, version_of

WARM = "warm"
"""The scratch directory in which compilers make their own parts. Start files keep its name in their debugging information:
were it another for each, a program that is built twice would differ."""
BUILD_TIMEOUT_S = 600
"""Seconds for one unit on a loaded machine, with the compiler's own cache empty."""

_GO_BUILD = ("build", "-trimpath", "-ldflags=-s -w -buildid= -extldflags=-s")
"""The last flag is for cgo: debugging information of zig's start files names the directory in which zig first made them, which
would differ between two builds of one source."""


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
        program = Path(spec.origin).with_name(f"zig{EXE}")
        if program.is_file():
            return str(program)
    if path := shutil.which("zig"):
        return path
    raise ToolchainFault(_("zig is not installed, and C units are built with it"), mend=toolchains())


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
                mend=toolchains(),
            ) from None
        return [compiler], version_of(compiler, "--version", runner=runner)


class Builder:
    """Builds into the cache; the same inputs are built once.

    All methods raise ToolchainFault when the tool is missing or breaks, BuildFailed when it refuses the source, or when the
    source asks for what a build may not read or do.
    """

    def __init__(
        self, cache: Cache, progress: Progress | None = None, runner: Runner | None = None, jail: Jail | None = None
    ) -> None:
        self.cache = cache
        self.progress = progress or Progress(quiet=True)
        self.runner = runner or Runner()
        self.jail = jail or Jail(self.runner)
        self._digests = Digests(cache.root / "digests")
        self._identities = Identities(cache, self._digests)
        self._made: dict[str, Made] = {}

    def made(self, data: bytes) -> Made | None:
        """What a program was made of; None for one that this builder has not built or fetched."""
        return self._made.get(hashlib.sha256(data).hexdigest())

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
        objects = with_objects or {}
        compiler, version = find_c_compiler(target, self.runner)
        gnu = compiler[-1] == compiler[0]
        tool = self._identities.of(compiler[0], version, gnu_helpers(compiler[0], self.runner) if gnu else ())
        tree = Tree.of_c(sources, flags, within, libraries)
        allowed = FlagsOf(flags, sources[0].parent, within or Path.cwd(), within, tree.base).words
        # clang's names for CPUs are not GCC's.
        tuned = () if gnu else target.c_flags
        plain = [*compiler, "-O2", "-g0", "-s", *tuned]
        argv = [*plain, "-ffile-prefix-map={first}=.", "-ffile-prefix-map={tree}=.", *allowed]
        argv += [f"-I{d}" for d in target.include_dirs]
        kind = ["-shared", "-fPIC"] if shared else []
        given = tree.digests()
        zig = Path(self._compilers("zig", salt))

        def environment_of(tmp: Path) -> dict[str, str]:
            own = {"ZIG_GLOBAL_CACHE_DIR": str(zig), "ZIG_LOCAL_CACHE_DIR": str(tmp / "zig")}
            return plain_environment(tmp) | _other_circumstances(salt) | ({} if gnu else own)

        key = ["c", tool.told(), target.key(), list(flags), list(libraries), shared, salt, given]
        key += [environment_of(_NOWHERE)]
        key += [{name: hashlib.sha256(data).hexdigest() for name, data in objects.items()}]
        roots = (*homes(compiler[0], gnu=gnu), *target.library_dirs, *target.include_dirs)
        work = Work(f"build {sources[0].name} for {target.arch}", key, tree, given, (tool,), roots)

        def build(site: Site) -> tuple[list[str], dict[str, str]]:
            for name, data in objects.items():
                (site.here / "objects" / name).write_bytes(data)
            env = environment_of(site.tmp)
            if not gnu:
                self._warm_zig(tool, [*plain, *kind, *filter(_OF_CODE.fullmatch, allowed)], env, zig, roots)
            first = str(site.src / sources[0].parent.relative_to(tree.base))
            places = {"first": first, "tree": str(site.src), "here": first}
            words = [filled(word, places) for word in [*argv, *kind]]
            names = [source.relative_to(tree.base).as_posix() for source in sources]
            sights = Sights((*roots, site.src, site.here / "objects"), (site.out, site.tmp), layers_over(site, zig))
            if len(names) > 1:  # of several sources a compiler would write the last one's rules alone
                for index, name in enumerate(names):
                    each = [*words, "-c", *rules_of(site, index), "-o", str(site.tmp / f"{index}.o"), name]
                    self._compile(each, env, site, sights, work)
                names = [str(site.tmp / f"{index}.o") for index in range(len(names))]
            else:
                words += rules_of(site, 0)
            words += ["-o", str(site.out / "out"), *names, f"-L{site.here / 'objects'}", "-Wl,--allow-shlib-undefined"]
            words += [f"-L{d}" for d in target.library_dirs]
            words += [f"-l:{name}" for name in objects] + [f"-l{name}" for name in libraries]
            linked = self._compile([*words, "-Wl,-t"] if gnu else words, env, site, sights, work)
            named = [name for place in sorted(site.tmp.glob("*.d")) for name in named_in(place.read_text())]
            if gnu:
                named += traced(linked.text)
            self._take_account(named, site, work)
            return words, env

        return self._cached(work, build)

    def _warm_zig(
        self, tool: Tool, argv: list[str], env: Mapping[str, str], cache: Path, roots: Sequence[Path]
    ) -> None:
        """Have zig make what it makes for every program: start files, run time, stubs of libc.

        What a subject's build writes into zig's cache is dropped. This source is our own, and its build may write there.
        """
        name = hashlib.sha256(json.dumps([tool.told(), argv]).encode()).hexdigest()[:32]
        mark = cache / "xc-warm" / name
        if mark.exists():
            return
        self._identities.check_package(tool.path)
        with self.cache.lock(WARM), self._scratch(WARM) as here:
            site = Site(here)
            (site.src / "warm.c").write_text("int main(void) { return 0; }\n")
            cache.mkdir(exist_ok=True)
            own = {**env, "ZIG_LOCAL_CACHE_DIR": str(site.tmp / "zig"), "HOME": str(site.tmp), "TMPDIR": str(site.tmp)}
            sights = Sights((*roots, site.src), (site.out, site.tmp, cache))
            done = self._jailed([*argv, "-o", str(site.out / "out"), "warm.c"], own, site, sights, site.src)
            if done.ok:
                mark.parent.mkdir(exist_ok=True)
                mark.touch()

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
        modules = self.cache.root / "gomodcache"
        build_cache = Path(self._compilers("gocache", salt))
        # Nothing is fetched behind the user's back: neither modules nor another tool chain.
        go = GoCommand(self.runner, offline=True, build_cache=build_cache, module_cache=modules)
        changes = {
            "GOOS": "linux",
            "GOARCH": str(target.arch),
            "CGO_ENABLED": "1" if cgo else "0",
            **dict(target.go_env),
        }
        root = Path(go.settings["GOROOT"])
        helpers = tuple(str(path) for path in sorted(root.glob("pkg/tool/*/*")) if path.name in GO_HELPERS)
        tools = [self._identities.of(go.program, go.version, helpers)]
        roots = [Path(go.program).resolve().parent.parent, root, modules]
        if cgo:
            zig = find_zig()
            tools.append(self._identities.of(zig, version_of(zig, "version", runner=self.runner)))
            roots += homes(zig, gnu=False)
            cc = f"{zig} cc -target {target.architecture.zig}.{target.libc_version} {' '.join(target.c_flags)}"
            changes |= {"CC": cc, "ZIG_GLOBAL_CACHE_DIR": self._compilers("zig", salt)}
        tree = Tree.of_go(directory, within)
        given = tree.digests()

        def environment_of(tmp: Path) -> dict[str, str]:
            inside = {"GOPATH": str(tmp / "go"), "ZIG_LOCAL_CACHE_DIR": str(tmp / "zig")}
            ours = {k: v for k, v in go.environment({**changes, **inside}).items() if _GO_SETTING.fullmatch(k)}
            return ours | plain_environment(tmp) | _other_circumstances(salt)

        key: list[object] = [
            "go",
            [tool.told() for tool in tools],
            target.key(),
            cgo,
            [*_GO_BUILD, *flags],
            salt,
            given,
        ]
        key += [environment_of(_NOWHERE)]
        work = Work(f"build {directory.name} for {target.arch}", key, tree, given, tuple(tools), tuple(roots))

        def build(site: Site) -> tuple[list[str], dict[str, str]]:
            for tool in tools:
                self._identities.check_package(tool.path)
            env = environment_of(site.tmp)
            layers = [build_cache, modules, *([Path(changes["ZIG_GLOBAL_CACHE_DIR"])] if cgo else [])]
            sights = Sights((*roots, site.src), (site.out, site.tmp), layers_over(site, *layers))
            place = site.src / directory.relative_to(tree.base)
            fields = "-json=ImportPath,Dir,Standard,Module," + ",".join(GO_FILES)
            listing = [go.program, "list", "-e", "-deps", fields, *flags, "."]
            packages = packages_in(self._jailed(listing, env, site, sights, place).text)
            standard = sorted(str(p["ImportPath"]) for p in packages if p.get("Standard"))
            words = [*_GO_BUILD, *flags]
            self._warm_go(tools[0], [go.program, *words], standard, env, sights, layers)
            argv = [go.program, *words, "-o", str(site.out / "out"), "."]
            self._build_go(argv, env, place, site, sights)
            if not packages:
                raise ToolchainFault(_("the go command does not say what it has built"), mend=toolchains())
            self._take_account(files_of(packages), site, work)
            return argv, env

        return self._cached(work, build)

    def _warm_go(
        self,
        tool: Tool,
        argv: list[str],
        packages: Sequence[str],
        env: Mapping[str, str],
        sights: Sights,
        caches: Sequence[Path],
    ) -> None:
        """Have the standard packages compiled into the go command's cache, which a subject's build cannot write to."""
        packages = [name for name in packages if name != "unsafe"]
        wanted = {k: v for k, v in env.items() if k not in ("GOPATH", "HOME", "TMPDIR", "ZIG_LOCAL_CACHE_DIR")}
        name = hashlib.sha256(json.dumps([tool.told(), argv, packages, wanted]).encode()).hexdigest()[:32]
        mark = caches[0] / "xc-warm" / name
        if mark.exists() or not packages:
            return
        with self.cache.lock(WARM), self._scratch(WARM) as here:
            site = Site(here)
            (site.src / "go.mod").write_text("module warm\n")
            for cache in caches:
                cache.mkdir(exist_ok=True)
            own = {
                **env,
                "GOPATH": str(site.tmp / "go"),
                "HOME": str(site.tmp),
                "TMPDIR": str(site.tmp),
                "ZIG_LOCAL_CACHE_DIR": str(site.tmp / "zig"),
            }
            read = tuple(path for path in sights.read if path not in caches and path.name != "src")
            done = self._jailed([*argv, *packages], own, site, Sights((*read, site.src), (site.out, site.tmp, *caches)))
            if done.ok:
                mark.parent.mkdir(exist_ok=True)
                mark.touch()

    def _compilers(self, name: str, salt: str) -> str:
        """Where a compiler keeps what it has built; a second build takes nothing over from the first.

        Only our own builds fill it: what older releases left under other names is not used.
        """
        return str(self.cache.root / (f"jailed-{name}-{salt}" if salt else f"jailed-{name}"))

    def _jailed(
        self, argv: Sequence[str], env: Mapping[str, str], site: Site, sights: Sights, cwd: Path | None = None
    ) -> Finished:
        """Run a tool where it sees and writes what it may; the isolation is noted."""
        for place in sights.layers:
            place.mkdir(parents=True, exist_ok=True)
        run = self.jail.run(
            argv, sights, scratch=site.here / "jail", cwd=cwd or site.src, env=env, timeout_s=BUILD_TIMEOUT_S
        )
        site.isolation, site.refused = run.isolation, run.refused
        return run.finished

    def _compile(self, argv: list[str], env: Mapping[str, str], site: Site, sights: Sights, work: Work) -> Finished:
        done = self._jailed(argv, env, site, sights)
        if done.ok:
            return done
        _need_whole(argv, done)
        lines = done.errors.strip().splitlines()
        telling = (line for line in lines if "error" in line or re.match(r"\S+:\d+", line))
        line = verbatim(next(telling, lines[-1] if lines else ""))
        if work.tree.outside:
            raise BuildFailed(
                _("{line}; {why}", line=line, why=work.refuse_outside(work.tree.outside[0]).what),
                argv=argv,
                output=done.errors,
            )
        raise _refused(line, argv, done)

    def _build_go(self, argv: list[str], env: Mapping[str, str], cwd: Path, site: Site, sights: Sights) -> None:
        done = self._jailed(argv, env, site, sights, cwd)
        if done.ok:
            return
        _need_whole(argv, done)  # zig, which cgo calls
        failure = read_failure(done.errors)
        if failure.cause is not GoCause.SUBJECT:
            raise ToolchainFault(failure.told(), mend=verbatim(failure.mend))
        lines = telling_lines(done.errors)
        telling = (line for line in lines if "error" in line or re.match(r"\S+:\d+", line))
        raise _refused(next(telling, failure.line), argv, done)

    def _take_account(self, named: Iterable[str], site: Site, work: Work) -> None:
        """Note what the compiler says that it read.

        Raises:
            BuildFailed: it read what it should not have, which a wall would have kept from it.
        """
        roots = [place.resolve() for place in work.roots]
        for name in dict.fromkeys(named):
            path = Path(os.path.normpath(site.src / name))
            if path.is_relative_to(site.here):
                continue
            real = path.resolve()
            if not any(real.is_relative_to(root) for root in roots):
                raise work.refuse_outside(path)
            site.read[str(real)] = self._digests.of(real)
        for path in work.tree.taken:
            raise work.refuse_outside(path)

    def _cached(self, work: Work, build: Callable[[Site], tuple[list[str], dict[str, str]]]) -> bytes:
        name = hashlib.sha256(json.dumps(work.key, sort_keys=True, default=str).encode()).hexdigest()
        place = self.cache.root / "builds" / name
        if (data := self._load(place)) is not None:
            return data
        with self.cache.lock(f"build-{name[:16]}"):
            if (data := self._load(place)) is not None:
                return data
            with self.progress.step(work.label, usually_short=True) as step:
                step.starts()
                with self._scratch(f"build-{name[:16]}") as here:
                    site = Site(here)
                    self._identities.check_package(work.tools[0].path)
                    work.tree.copy_to(site.src, work.given)
                    argv, env = build(site)
                    data = (site.out / "out").read_bytes()
                    made = Made(
                        key=name,
                        tools=work.tools,
                        argv=tuple(placed(word, here) for word in argv),
                        environment={name: placed(value, here) for name, value in env.items()},
                        given=work.given,
                        read=site.read,
                        stamps={path: stamp_of(path) for path in site.read},
                        isolation=site.isolation,
                        refused=site.refused,
                        sha256=hashlib.sha256(data).hexdigest(),
                    )
                    part = here / "part"
                    part.mkdir()
                    made.store(part, data)
                    remove_tree(place)
                    part.rename(place)
        self._made[made.sha256] = made
        return data

    def _load(self, place: Path) -> bytes | None:
        found = Made.load(place, self._digests)
        if found is None:
            return None
        data, made = found
        self._made[made.sha256] = made
        return data

    @contextmanager
    def _scratch(self, name: str) -> Iterator[Path]:
        """A directory of a build's own, gone afterwards."""
        here = self.cache.root / "tmp" / name
        try:
            remove_tree(here)
            here.mkdir()
            Site(here).make()
            yield here
        except OSError as error:
            raise ToolchainFault(
                _("a build could not be kept in {root}: {why}", root=self.cache.root, why=system_error(error)),
                mend=writing_mend(error, self.cache.root),
            ) from error
        finally:
            remove_tree(here)


_NOWHERE = Path("{here}/tmp")
"""The place of a build that has none yet."""

_OF_CODE = re.compile(r"-(?:O|m|f|static|pie|no-?pie|pthread|nostdlib|nolibc|nostartfiles|nodefaultlibs)(?!include).*")
"""Flags that change what zig makes for every program."""

_GO_SETTING = re.compile(
    r"GO(?!DEBUG|GC|MEMLIMIT|TRACEBACK|TMPDIR|MAXPROCS)[A-Z0-9]*|CGO_ENABLED|CC|ZIG_[A-Z_]+|XDG_CONFIG_HOME"
)
"""What of the go command's environment is ours: each of it is set by ``GoCommand`` or here."""

GO_HELPERS = frozenset({"compile", "link", "asm", "cgo"})
"""The programs of GOROOT that `go build` calls."""


def gnu_helpers(compiler: str, runner: Runner) -> tuple[str, ...]:
    """The programs that a GNU compiler calls."""
    return _gnu_helpers(compiler, stamp(compiler), runner)


@functools.cache
def _gnu_helpers(compiler: str, _stamp: tuple[int, int], runner: Runner) -> tuple[str, ...]:
    found = []
    for name in ("cc1", "as", "collect2", "ld"):
        said = runner.run([compiler, f"-print-prog-name={name}"], timeout_s=ANSWER_TIMEOUT_S).text.strip()
        path = said if "/" in said else shutil.which(said) or ""
        if path and Path(path).is_file():
            found.append(os.path.realpath(path))
    return tuple(found)


def _need_whole(argv: list[str], done: Finished) -> None:
    """Raises ToolchainFault when a compiler broke, and refused nothing."""
    if re.search(r"No space left on device|OutOfMemory|error: unable to (?:open|create)", done.errors):
        raise ToolchainFault(_("{program} broke: {said}", program=Path(argv[0]).name, said=done.errors.strip()[-300:]))


def _refused(line: str, argv: list[str], done: Finished) -> BuildFailed:
    why = _("does not build: {line}", line=line or _("no message"))
    return BuildFailed(why, argv=argv, output=done.errors)


def _other_circumstances(salt: str) -> dict[str, str]:
    """For a second build: what must not show in the result. China's time zone, as a
    POSIX string that needs no file, moves the clock that ``__TIME__`` is read from."""
    return (
        {"TZ": "CST-8", "LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8", "USER": "another"}
        if salt
        else {"TZ": "UTC", "LC_ALL": "C"}
    )
