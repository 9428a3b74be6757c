"""Cargo over a copy of a tree that nobody vouches for: it fetches what a lock file names, and compiles behind the wall."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pytest_xinchuang.advise.rust.events import Checked, Crate, checked_of, crates_of
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.errors import HostFault, ToolchainFault, XcError
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.toolchain.builder import find_zig
from pytest_xinchuang.toolchain.jail import Sights
from pytest_xinchuang.toolchain.site import homes, plain_environment
from pytest_xinchuang.tools.process import Finished, environment, first_line
from pytest_xinchuang.tools.versions import version_of

ANSWER_TIMEOUT_S = 60
"""Seconds for what cargo, rustc and rustup answer without building or fetching."""
FETCH_TIMEOUT_S = 300
"""Seconds for fetching crates, or the standard library of a target."""
CHECK_TIMEOUT_S = 900
"""Seconds for checking a workspace for one target with nothing built before."""

ARCHES = {"amd64": "x86_64", "arm64": "aarch64", "loong64": "loongarch64"}
"""GOARCH, as this package names architectures, -> as rustc does (`rustc --print target-list`)."""

_PANIC = re.compile(r"panicked at ([^\s:]+:\d+):\d+:\n([^\n]*)")
"""Where a program of Rust panicked, and of what (std::panicking since Rust 1.73)."""
_ASSEMBLER = (b"asm!",)
"""What `cargo check` does not look into: only code generation hands it to an assembler."""


_DROP_TARGET = """for word do
    shift
    case $word in --target=*) ;; *) set -- "$@" "$word" ;; esac
done
"""
"""Takes the compiler's target, as rustc spells it, out of a command: the crate cc hands it to clang, zig cannot read it."""


@dataclass
class CargoJail:
    """Runs cargo over a copy of one tree.

    Raises:
        ToolchainFault: there is no Rust.
    """

    tree: SourceTree
    work: Work
    rustc: str = field(init=False)
    cargo: str = field(init=False)

    def __post_init__(self) -> None:
        found = shutil.which("rustc")
        if found is None:
            raise ToolchainFault(
                _("Rust is not installed: there is no rustc on PATH"), mend=_("install rustc and cargo")
            )
        # In the tree's directory rustup would take, and fetch, the tool chain that rust-toolchain.toml names.
        done = self._outside([found, "--print", "sysroot"], ANSWER_TIMEOUT_S)
        self.sysroot = Path(done.text.strip() or "/usr")
        own = self.sysroot / "bin"
        self.rustc = str(own / "rustc") if (own / "rustc").is_file() else found
        cargo = str(own / "cargo") if (own / "cargo").is_file() else shutil.which("cargo")
        if cargo is None:
            raise ToolchainFault(_("cargo is not installed beside {rustc}", rustc=self.rustc), mend=_("install cargo"))
        self.cargo = cargo
        self.here = self.work.scratch / "rust"
        self.copy = self.here / "src"
        kept = self.work.kept or self.work.scratch
        key = f"{self.version}\0{self.tree.root}"
        self.target_dir = kept / "cargo-target" / hashlib.sha256(key.encode()).hexdigest()[:16]
        self.zig_cache = kept / "zig"
        # At a place of their own: what a build script has made is made again when its compiler is another.
        self.bin = kept / "cargo-bin"
        self.home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
        for place in (
            self.home,
            self.target_dir,
            self.zig_cache,
            self.bin,
            *(self.here / n for n in ("tmp", "jail", "above")),
        ):
            place.mkdir(parents=True, exist_ok=True)
        self._copy()

    @property
    def version(self) -> str:
        """What `rustc --version` prints."""
        return version_of(self.rustc, "--version", runner=self.work.runner)

    def _copy(self) -> None:
        """Copy the tree: build scripts write beside sources, and cargo a lock file."""
        for name in self.tree.files:
            if name.split("/")[0] == "target":
                continue
            place = self.copy / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.tree.root / name, place)

    @staticmethod
    def triple(triple: Triple) -> str:
        """A target as rustc names it."""
        libc = "musl" if triple.libc == "musl" else "gnu"
        return f"{ARCHES[str(triple.arch)]}-unknown-linux-{libc}"

    def ready(self, target: str) -> bool:
        """Whether the standard library of a target is here, fetched by rustup where it may be."""
        if self._has_std(target):
            return True
        rustup = shutil.which("rustup")
        if rustup is None or self.work.offline or not self.sysroot.is_relative_to(_rustup_home()):
            return False
        words = [rustup, "target", "add", "--toolchain", self.sysroot.name, target]
        try:
            self._outside(words, self.work.budget.within(FETCH_TIMEOUT_S))
        except HostFault:
            return False
        return self._has_std(target)

    def _has_std(self, target: str) -> bool:
        library = self.sysroot / "lib/rustlib" / target / "lib"
        return any(library.glob("libstd-*.rlib")) or any(library.glob("libstd-*.so"))

    def workspaces(self) -> list[str]:
        """The directories of the manifests that stand for themselves: workspaces, and packages that are of none."""
        found: list[str] = []
        for name in sorted(self.tree.named("Cargo.toml"), key=lambda name: name.count("/")):
            place = str(PurePosixPath(name).parent)
            place = "" if place == "." else place
            if any(part in ("target", "vendor") for part in PurePosixPath(name).parts):
                continue
            if not any(_is_below(place, other) for other in found):
                found.append(place)
        return found

    def crates(self, directory: str, target: str) -> dict[str, Crate]:
        """The packages of a workspace and all that they need for a target; fetched where that is allowed.

        Raises:
            XcError: the manifest cannot be read, or something may not be or could not be fetched.
        """
        words = [self.cargo, "metadata", "--format-version", "1", "--filter-platform", target, "--offline"]
        done = self._jailed(words, directory, ANSWER_TIMEOUT_S)
        if not done.ok and not self.work.offline:
            self._fetch(directory)
            done = self._jailed(words, directory, ANSWER_TIMEOUT_S)
        crates = crates_of(done.text) if done.ok else {}
        if not crates:
            raise XcError(_("cargo metadata: {why}", why=verbatim(_why(done, self.copy))))
        return crates

    def _fetch(self, directory: str) -> None:
        """Fetch outside of the wall. In another directory: a tree's .cargo/config.toml names programs."""
        manifest = self.copy / directory / "Cargo.toml"
        locked = ["--locked"] if (manifest.parent / "Cargo.lock").is_file() else []
        words = [self.cargo, "fetch", "--manifest-path", str(manifest), *locked]
        self._outside(words, self.work.budget.within(FETCH_TIMEOUT_S))

    def check(self, directory: str, triple: Triple, *, whole: bool = False) -> tuple[Checked, str]:
        """Check a workspace for a target; returns what cargo told, and its last words.

        Args:
            whole: generate code too, which hands inline assembler to an assembler; nothing is linked for a foreign target.

        Raises:
            ToolchainFault: it did not end in time.
        """
        target = self.triple(triple)
        kind = "build" if whole else "check"
        words = [
            self.cargo,
            kind,
            "--offline",
            "--workspace",
            "--keep-going",
            "--target",
            target,
            "--message-format=json",
        ]
        done = self._jailed(words, directory, CHECK_TIMEOUT_S, triple)
        return checked_of(done.text), _why(done, self.copy)

    def _outside(self, words: Sequence[str], timeout_s: float) -> Finished:
        env = environment({"RUSTUP_AUTO_INSTALL": "0"})
        run = self.work.runner.run(words, timeout_s=timeout_s, cwd=self.work.scratch, env=env)
        return run.exited(ToolchainFault)

    def _jailed(self, words: Sequence[str], directory: str, timeout_s: float, triple: Triple | None = None) -> Finished:
        """Run cargo behind the wall.

        Raises:
            ToolchainFault: it cannot be run, or did not end in time.
        """
        if self.work.budget.spent:
            raise HostFault(_("the time that it may take is over"))
        tmp = self.here / "tmp"
        system = tuple(
            Path(name) for name in ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache")
        )
        zig = find_zig()
        roots = (*system, self.sysroot, Path(self.cargo).parent, *homes(zig, gnu=False), self.bin)
        env = plain_environment(tmp) | {
            "CARGO_HOME": str(self.home),
            "CARGO_TARGET_DIR": str(self.target_dir),
            "CARGO_NET_OFFLINE": "true",
            "CARGO_TERM_COLOR": "never",
            "RUSTC": self.rustc,
            "LC_ALL": "C",
            # A host's libraries are of x86-64 alone: what is found there would tell the two sides apart.
            "PKG_CONFIG": "/bin/false",
            "ZIG_GLOBAL_CACHE_DIR": str(self.zig_cache),
            "ZIG_LOCAL_CACHE_DIR": str(tmp / "zig"),
        }
        if triple is not None:
            env |= self._compilers(zig, triple)
        written = (self.copy, self.target_dir, tmp, self.zig_cache)
        return self.work.jail.run(
            words,
            Sights(roots, written, {self.home: self.here / "above"}),
            scratch=self.here / "jail",
            cwd=self.copy / directory,
            env=env,
            timeout_s=self.work.budget.within(timeout_s),
        ).finished

    def _compilers(self, zig: str, triple: Triple) -> dict[str, str]:
        """What build scripts compile C with (the crate cc, Environment variables), x86-64 and the target alike."""
        target = self.triple(triple)
        under = target.replace("-", "_")
        env = {}
        for variable, words in (("CC", "cc"), ("CXX", "c++"), ("AR", "ar")):
            place = self.bin / f"{under}-{triple.zig}-{words}"
            flags = "" if words == "ar" else f"-target {triple.zig} "
            _script(place, _DROP_TARGET + f'exec {shlex.quote(zig)} {words} {flags}"$@"\n')
            env[f"{variable}_{under}"] = str(place)
        if not target.startswith("x86_64"):
            # Code is generated, and nothing is linked: what links is another question, with other libraries.
            place = self.bin / "no-linker"
            place.write_text(
                '#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = -o ] && : > "$2"; shift; done\n', encoding="utf-8"
            )
            place.chmod(0o755)
            env[f"CARGO_TARGET_{under.upper()}_LINKER"] = str(place)
        return env

    def knows(self, target: str, flag: str) -> bool:
        """Whether rustc knows the CPU, or all the features, that a flag names for a target."""
        kind, _equals, value = flag.removeprefix("-C").strip().partition("=")
        wanted = {
            "target-cpu": {value},
            "target-feature": {one[1:] for one in value.split(",") if one[:1] in ("+", "-")},
        }
        done = self._outside([self.rustc, "--print", f"{kind}s", "--target", target], ANSWER_TIMEOUT_S)
        known = {line.split()[0] for line in done.text.splitlines() if line.startswith("    ")}
        return not done.ok or not known or wanted.get(kind, set()) <= known | {"native", "crt-static"}

    def has_assembler(self, crates: Sequence[Crate]) -> bool:
        """Whether any source of some packages has inline assembler."""
        for crate in crates:
            place = Path(crate.manifest).parent
            for source in place.rglob("*.rs"):
                try:
                    if source.stat().st_size < (4 << 20) and any(word in source.read_bytes() for word in _ASSEMBLER):
                        return True
                except OSError:
                    continue
        return False


def flags_in(tree: SourceTree) -> list[tuple[str, int, str]]:
    """(file, line, word) of the flags in a tree's .cargo/config.toml that hold for every target and name a CPU or features."""
    found = []
    for name in tree.files:
        if PurePosixPath(name).parent.name != ".cargo" or PurePosixPath(name).name not in ("config.toml", "config"):
            continue
        text = tree.text(name) or ""
        try:
            words = tomllib.loads(text).get("build", {}).get("rustflags", [])
        except (tomllib.TOMLDecodeError, AttributeError):
            continue
        words = words.split() if isinstance(words, str) else words
        for word in words if isinstance(words, list) else []:
            if isinstance(word, str) and word.removeprefix("-C").startswith(("target-cpu", "target-feature")):
                line = next((n for n, one in enumerate(text.splitlines(), 1) if word in one), 1)
                found.append((name, line, word))
    return found


def _script(place: Path, text: str) -> None:
    """Write a shell script; one that is there already, and may be running, stays."""
    text = f"#!/bin/sh\n{text}"
    if place.is_file() and place.read_text(encoding="utf-8") == text:
        return
    part = place.with_name(f"{place.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.chmod(0o755)
    part.replace(place)


def _is_below(place: str, other: str) -> bool:
    return PurePosixPath(place).is_relative_to(other or ".")


def _rustup_home() -> Path:
    return Path(os.environ.get("RUSTUP_HOME") or Path.home() / ".rustup")


def _why(done: Finished, copy: Path) -> str:
    """What cargo says went wrong: its first line that is an error, and what a build script panicked of.

    Args:
        copy: our copy of the tree, whose place is not told.
    """
    lines = [line for line in done.errors.splitlines() if line.strip()]
    first = next((line for line in lines if line.startswith("error")), str(first_line(done.errors)))
    panic = _PANIC.search(done.errors)
    said = f": {panic[1]}: {panic[2].strip()}" if panic is not None else ""
    return f"{first.removeprefix('error: ')[:300]}{said}".replace(str(copy), ".")
