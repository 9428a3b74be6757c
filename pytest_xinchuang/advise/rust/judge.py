"""Compares how the crates of a workspace are checked for x86-64 and for a target: pure functions of what cargo said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pytest_xinchuang.advise.judged import Found, Judged
from pytest_xinchuang.advise.rust.events import Checked, Crate, RustError, Span, within
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import Message, _, n_, verbatim

_TEXT_SHOWN = 300
"""Characters of a compiler's text that are told."""

_OF_HOST = re.compile(r"\btarget_(?:arch|feature|pointer_width|endian)\b|\bconsts::ARCH\b|\bis_x86_feature_detected!")
"""What a build script knows of the machine that it runs on: it is compiled for that (The Cargo Book, Build Scripts)."""

_UNRESOLVED = frozenset(
    {"E0405", "E0408", "E0412", "E0422", "E0423", "E0424", "E0425", "E0432", "E0433", "E0531", "E0599"}
)
"""The errors for what is declared nowhere (`rustc --explain`)."""


@dataclass(frozen=True)
class Comparison:
    """A workspace as it was checked for x86-64 and for a target.

    Attributes:
        root: the copy of the tree that cargo was given.
        directory: the workspace's, absolute.
        arch: the target's, as rustc calls it.
        crates: what x86-64 needs; ``target_crates``: what the target does.
        last: cargo's last words for either.
        text: reads a file; None for what cannot be read.
    """

    root: Path
    directory: Path
    arch: str
    crates: Mapping[str, Crate]
    target_crates: Mapping[str, Crate]
    base: Checked
    target: Checked
    last: tuple[str, str]
    text: Callable[[Path], str | None]

    def judge(self) -> Judged:
        """Each library and program of the workspace's members."""
        judged = Judged()
        causes: dict[str, list[str]] = {}
        for crate in self.members:
            for kind, name in crate.targets:
                judged.total += 1
                if (crate.id, kind, name) not in self.base.done:
                    judged.why[self._not_on_x86(crate)] += 1
                    continue
                # A crate of several targets tells its errors by the crate: what was compiled has none.
                if (crate.id, kind, name) in self.target.done:
                    script = next(
                        (s for s in map(self._own_script, sorted(self._within(crate))) if s is not None), None
                    )
                    if script is None:
                        judged.judged += 1
                    else:
                        file = verbatim(self._in_tree(script))
                        judged.why[
                            _("{file} asks for the machine on which it is compiled, and that is x86-64 here", file=file)
                        ] += 1
                    continue
                broken = [one for one in sorted(self._within(crate)) if one in self.failing or one in self.unscripted]
                if not broken:
                    judged.why[_("cargo did not come to it: {why}", why=verbatim(self.last[1]))] += 1
                    continue
                judged.judged += 1
                for one in broken:
                    causes.setdefault(one, []).append(name)
        for cause, stopped in causes.items():
            judged.found += self._explain(cause, stopped)
        return judged

    @cached_property
    def members(self) -> list[Crate]:
        return sorted((crate for crate in self.crates.values() if crate.member), key=lambda crate: crate.manifest)

    @cached_property
    def failing(self) -> frozenset[str]:
        """The packages in which the compiler finds errors for the target alone."""
        return frozenset(self.target.failing() - self.base.failing())

    @cached_property
    def unscripted(self) -> frozenset[str]:
        """The packages whose build script ends well for x86-64, and not for the target."""
        broken = self.target.failing()
        ended = (self.target.scripts - self.target.ran) & self.base.ran
        return frozenset(one for one in ended if not (within(self.target_crates, one) - {one}) & (broken | ended))

    def _within(self, crate: Crate) -> set[str]:
        return within(self.target_crates, crate.id)

    def _not_on_x86(self, crate: Crate) -> Message:
        broken = [one for one in sorted(within(self.crates, crate.id)) if one in self.base.faults]
        if broken:
            text = verbatim(_short(self.base.faults[broken[0]][0].text))
            return _(
                "{crate} does not build for x86-64 here either: {line}",
                crate=verbatim(_named(broken[0], self.crates)),
                line=text,
            )
        return _("it does not build for x86-64 here either: {line}", line=verbatim(self.last[0] or "?"))

    def _explain(self, cause: str, stopped: list[str]) -> Iterator[Found]:
        crate = self.target_crates.get(cause) or self.crates.get(cause)
        if crate is None:
            return
        if cause in self.unscripted:
            yield self._script(crate, stopped)
            return
        errors = self.target.faults[cause]
        if not self._own(crate):
            yield self._dependency(crate, errors[0], stopped)
            return
        groups: dict[tuple[str, str], list[tuple[str, RustError]]] = {}
        for error in errors:
            groups.setdefault((error.code, error.text), []).append((self._place(error.spans, crate), error))
        for found in groups.values():
            yield self._failure(crate, found, stopped)

    def _failure(self, crate: Crate, found: list[tuple[str, RustError]], stopped: list[str]) -> Found:
        place, error = found[0]
        arch = verbatim(self.arch)
        certainty = Certainty.CERTAIN
        if (script := self._asks_host(crate)) is not None:
            certainty = Certainty.GUARDED
            advice = _(
                "{file} asks for the machine on which it is compiled, which is another one on the platform: have it read "
                "CARGO_CFG_TARGET_ARCH, and build there",
                file=verbatim(self._in_tree(script)),
            )
        elif error.gate is not None and error.code in _UNRESOLVED:
            advice = _(
                '{gate} leaves it out: give {arch} its own, e.g. #[cfg(not(target_arch = "x86_64"))] with plain Rust',
                gate=verbatim(self._place((error.gate,), crate)),
                arch=arch,
            )
        else:
            advice = _(
                'guard it by #[cfg(target_arch = "x86_64")], and give {arch} its own by '
                '#[cfg(not(target_arch = "x86_64"))]',
                arch=arch,
            )
        return Found(
            "XC-ADV-070",
            certainty,
            place,
            {"error": _short(error.text), "crates": _stopped(stopped), "advice": advice, "arch": self.arch},
            {"crate": crate.name, "kind": error.code, "places": [where for where, _error in found], "stops": stopped},
        )

    def _dependency(self, crate: Crate, error: RustError, stopped: list[str]) -> Found:
        span = error.spans[0] if error.spans else None
        advice = _(
            "take a later version: cargo update -p {crate}, or a later one in Cargo.toml; where none has it, leave it out by "
            "[target.'cfg(target_arch = \"x86_64\")'.dependencies]",
            crate=verbatim(crate.name),
        )
        return Found(
            "XC-ADV-071",
            Certainty.CERTAIN if self._asks_host(crate) is None else Certainty.GUARDED,
            self._required(crate),
            {
                "crate": f"{crate.name} {crate.version}",
                "error": _short(error.text),
                "crates": _stopped(stopped),
                "advice": advice,
                "arch": self.arch,
            },
            {
                "crate": crate.name,
                "version": crate.version,
                "kind": error.code,
                "file": f"{span.file}:{span.line}" if span else crate.manifest,
                "stops": stopped,
            },
        )

    def _script(self, crate: Crate, stopped: list[str]) -> Found:
        place = self._required(crate)
        if self._own(crate):
            file = Path(crate.manifest).with_name("build.rs")
            place = self._in_tree(file if file.is_file() else Path(crate.manifest))
        params = {"crate": f"{crate.name} {crate.version}", "crates": _stopped(stopped), "arch": self.arch}
        evidence = {"crate": crate.name, "version": crate.version, "said": self.last[1], "stops": stopped}
        return Found("XC-ADV-072", Certainty.GUARDED, place, params | {"error": _short(self.last[1])}, evidence)

    def _asks_host(self, crate: Crate) -> Path | None:
        """A crate's build script that decides by the machine of the build, which is x86-64 here and the platform there."""
        script = Path(crate.manifest).with_name("build.rs")
        ran = crate.id in self.target.ran
        return script if ran and _OF_HOST.search(self.text(script) or "") is not None else None

    def _own_script(self, package: str) -> Path | None:
        """The build script of a crate of the tree that goes another way on the platform itself, for all that is known."""
        crate = self.target_crates.get(package)
        return self._asks_host(crate) if crate is not None and self._own(crate) else None

    def _own(self, crate: Crate) -> bool:
        place = Path(crate.manifest)
        return crate.local and place.is_relative_to(self.root) and "vendor" not in place.relative_to(self.root).parts

    def _required(self, crate: Crate) -> str:
        """The line of a member's Cargo.toml that brings a crate in."""
        for member in self.members:
            for direct in (member.id, *self.target_crates[member.id].deps) if member.id in self.target_crates else ():
                if direct == member.id or crate.id not in within(self.target_crates, direct):
                    continue
                file = Path(member.manifest)
                name = self.target_crates[direct].name
                for number, line in enumerate((self.text(file) or "").splitlines(), 1):
                    word = line.split("=")[0].strip().strip("\"'")
                    if word in (name, f"{name}.workspace", f"{name}.version") or line.strip().endswith(f".{name}]"):
                        return f"{self._in_tree(file)}:{number}"
                return self._in_tree(file)
        return self._in_tree(self.directory / "Cargo.toml")

    def _place(self, spans: tuple[Span, ...], crate: Crate) -> str:
        """The first place of an error that is in the tree: a macro of others has it where it is used."""
        for span in spans:
            for start in (self.directory, Path(crate.manifest).parent):
                path = start / span.file
                if path.is_file() and path.resolve().is_relative_to(self.root):
                    return f"{self._in_tree(path)}:{span.line}"
        return self._in_tree(Path(crate.manifest))

    def _in_tree(self, path: Path) -> str:
        return (
            path.resolve().relative_to(self.root).as_posix() if path.resolve().is_relative_to(self.root) else str(path)
        )


def _named(package: str, crates: Mapping[str, Crate]) -> str:
    return f"{crates[package].name} {crates[package].version}" if package in crates else package


def _short(text: str) -> str:
    first = " ".join(text.split())
    return first if len(first) <= _TEXT_SHOWN else first[:_TEXT_SHOWN] + "..."


def _stopped(names: list[str]) -> Message:
    several = list(dict.fromkeys(names))
    if len(several) == 1:
        return verbatim(several[0])
    return n_("{name} and {n} other crate", "{name} and {n} other crates", len(several) - 1, name=several[0])
