"""Cargo, rustc and rustdoc of one toolchain, run where the code of the product can do no harm.

Build scripts and procedural macros are programs of the product: they run behind a wall, without a network, and see the copy of
their own sources, the toolchain, and what cargo has fetched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.toolchain.jail import Isolation, Jail, Sights
from pytest_xinchuang.tools.process import Finished, Runner, environment, last_line

TIMEOUT_S = 1800
"""Seconds for a crate with all that it depends on, on a loaded machine."""
QUICK_S = 60
"""Seconds for a question that rustc answers from its own files; rustup may have to start first."""
FORMATS = frozenset({57})
"""Versions of rustdoc's JSON that this was tried with (rustdoc-types, FORMAT_VERSION): that of Rust 1.95 to 1.97."""
TRIPLES = {
    "linux/amd64": "x86_64-unknown-linux-gnu",
    "linux/arm64": "aarch64-unknown-linux-gnu",
    "linux/loong64": "loongarch64-unknown-linux-gnu",
    "linux/riscv64": "riscv64gc-unknown-linux-gnu",
}
"""Target -> what rustc calls it (rustc book, platform support)."""

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives")
MEND = _(
    "install Rust 1.95 ({command}), and set RUSTUP_TOOLCHAIN=1.95 where it is not the default",
    command=verbatim("rustup toolchain install 1.95"),
)


@dataclass(frozen=True)
class Cargo:
    """A toolchain.

    Attributes:
        root: its sysroot.
        told: its version.
        home: where cargo keeps what it has fetched.
    """

    root: Path
    told: str
    home: Path
    runner: Runner

    @property
    def program(self) -> Path:
        """Cargo itself, and not rustup's stand-in, which would obey a ``rust-toolchain.toml`` of the product."""
        return self.root / "bin" / "cargo"

    def has_target(self, triple: str) -> bool:
        """Whether the standard library for a target is installed."""
        return (self.root / "lib" / "rustlib" / triple / "lib").is_dir()

    def run(self, words: Sequence[str], cwd: Path, scratch: Path, read: Sequence[Path] = (), **more: str) -> Finished:
        """Run cargo behind the wall, offline. It may write to ``cwd`` and ``scratch / "out"`` alone.

        Raises:
            ToolchainFault: there is no wall on this host, or cargo did not end by itself.
        """
        out = scratch / "out"
        out.mkdir(parents=True, exist_ok=True)
        fetched = [self.home / name for name in ("registry", "git", "config.toml")]
        seen = [*map(Path, _SYSTEM), self.root, *fetched, *read]
        jailed = Jail(self.runner, (Isolation.NAMESPACES, Isolation.LANDLOCK)).run(
            [str(self.program), *words, "--offline"],
            Sights(tuple(path for path in seen if path.exists()), (cwd, out)),
            scratch=scratch,
            cwd=cwd,
            env=self._environment(out, more),
            timeout_s=TIMEOUT_S,
        )
        return jailed.finished

    def _environment(self, out: Path, more: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": f"{self.root / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(out),
            "TMPDIR": str(out),
            "LC_ALL": "C.UTF-8",
            "CARGO_HOME": str(self.home if self.home.is_dir() else out),
            "CARGO_TARGET_DIR": str(out / "target"),
            "CARGO_TERM_COLOR": "never",
            "CARGO_INCREMENTAL": "0",
            **more,
        }

    def fetch(self, manifest: Path, scratch: Path) -> Finished:
        """Let cargo fetch dependencies. No program of the product runs, and its configuration is not read: cargo looks for
        that from its working directory.

        Raises:
            ToolchainFault: cargo did not end.
        """
        words = [str(self.program), "fetch", "--manifest-path", str(manifest)]
        ours = environment({"PATH": f"{self.root / 'bin'}:{os.environ.get('PATH', '')}"})
        return self.runner.run(words, timeout_s=TIMEOUT_S, cwd=scratch, env=ours).exited(ToolchainFault)


def find_cargo(runner: Runner) -> Cargo:
    """The toolchain that users of this machine have by default.

    Raises:
        ToolchainFault: there is none.
    """
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    rustc = shutil.which("rustc") or shutil.which("rustc", path=str(home / "bin"))
    if rustc is None:
        raise ToolchainFault(_("there is no Rust (rustc, cargo)"), mend=MEND)
    done = runner.run([rustc, "--print", "sysroot"], timeout_s=QUICK_S, cwd="/").exited(ToolchainFault)
    root = Path(done.text.strip())
    if not done.ok or not (root / "bin" / "cargo").is_file():
        said = last_line(done.errors) or str(root)
        raise ToolchainFault(_("rustc has no cargo beside it: {said}", said=verbatim(said)), mend=MEND)
    version = runner.run([str(root / "bin" / "rustc"), "--version"], timeout_s=QUICK_S, cwd="/").exited(ToolchainFault)
    return Cargo(root.resolve(), version.text.strip(), home.resolve(), runner)
