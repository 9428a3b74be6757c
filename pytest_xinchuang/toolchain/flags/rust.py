"""Lines of rustc: the CPU and its extensions, and what it hands to the linker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.toolchain.flags.ask import Answer, Asker
from pytest_xinchuang.toolchain.flags.c import machine_differs
from pytest_xinchuang.toolchain.flags.features import LEVELS
from pytest_xinchuang.toolchain.flags.found import DROP, Found
from pytest_xinchuang.toolchain.flags.words import Parts, split, take_apart

TARGETS = {
    Arch.AMD64: "x86_64-unknown-linux-",
    Arch.ARM64: "aarch64-unknown-linux-",
    Arch.LOONG64: "loongarch64-unknown-linux-",
}

_HARMLESS = re.compile(
    r"(?:opt-level|debuginfo|codegen-units|lto|linker-plugin-lto|panic|incremental|metadata|extra-filename|embed-bitcode|strip|overflow-checks"
    r"|debug-assertions|linker|linker-flavor|link-dead-code|link-self-contained|prefer-dynamic|relocation-model|code-model|rpath|ar"
    r"|inline-threshold|no-vectorize-loops|no-vectorize-slp|no-prepopulate-passes|no-redzone|no-stack-check|passes|profile-generate|profile-use"
    r"|remark|save-temps|split-debuginfo|symbol-mangling-version|default-linker-libraries|force-frame-pointers|force-unwind-tables|dlltool"
    r"|control-flow-guard|instrument-coverage|collapse-macro-debuginfo|jump-tables|dwarf-version|llvm-args=-?(?:inline|unroll)[a-z-]+)(?:=.*)?"
    r"|no-.*",
    re.S,
)
"""Options of -C that make no code for another CPU (The rustc book, codegen options)."""

_MACHINE = re.compile(r"[\w.+,-]+")


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The flags that matter, as kind and value: codegen options, -Z, targets; `@file` and the rest as they are."""
    left = iter(words)
    for word in left:
        if word in ("-C", "--codegen", "-Z", "--target"):
            yield word.replace("--codegen", "-C"), next(left, "")
        elif found := re.fullmatch(r"(-C|--codegen=|-Z|--target=)\s*(.+)", word, re.S):
            yield found[1].replace("--codegen=", "-C").rstrip("="), found[2]
        elif word.startswith("@"):
            yield "@", word


def judge_rust(parts: Parts, platform: Platform, found: Found, asker: Asker) -> list[Parts]:
    """Judge a line of rustc; returns what it hands to the linker, as lines of their own."""
    asked: dict[str, str] = {}
    features: list[str] = []
    target = f"{TARGETS[platform.arch]}{'musl' if platform.system.libc == 'musl' else 'gnu'}"
    given, linked = "", []
    for kind, value in _options(parts.rust):
        key, _equals, text = value.partition("=")
        key = key.strip().replace("_", "-")
        if kind == "--target":
            given = value
        elif kind == "@":
            found.open(value, _("the file with more flags was not read"))
        elif kind == "-Z" and key not in ("tune-cpu",):
            found.open(f"-Z {value}", _("it is no stable flag of rustc"))
        elif kind == "-C" and key == "target-cpu":
            asked[key] = text
        elif kind == "-C" and key == "target-feature":
            features += [f for f in text.split(",") if f]
        elif kind == "-C" and key in ("link-arg", "link-args"):
            words = split(text) if key == "link-args" else [text]
            linked.append(take_apart(["cc", *(words or [])]))
        elif kind == "-C" and not _HARMLESS.fullmatch(f"{key}={text}" if text else key):
            found.open(f"-C {value}", _("it changes what the compiler does, and it cannot be asked about it"))
    if given and machine_differs(given.split("-")[0], platform):
        found.foreign(f"--target {given}", _("its compiler makes code for another architecture"))
        return linked
    cpu = asked.get("target-cpu", "")
    if cpu == "native":
        reason = _("it takes the CPU of the build machine")
        found.add("XC-FLAG-003", Certainty.CERTAIN, "-C target-cpu=native", reason, _("name the platform's baseline"))
        cpu = ""
    if cpu or any(f.lstrip("+-") != "crt-static" for f in features):
        _Rust(asker, platform, found, given or target).judge(cpu, features)
    return linked


class _Rust:
    """What rustc would use, asked of itself."""

    def __init__(self, asker: Asker, platform: Platform, found: Found, target: str) -> None:
        self.asker, self.platform, self.found, self.target = asker, platform, found, target

    def judge(self, cpu: str, features: Sequence[str]) -> None:
        flags = [f"-C target-cpu={cpu}"] if cpu else []
        shown = [*flags, *(f"-C target-feature={f}" for f in features)]
        if self.asker.rustc is None:
            for flag in shown:
                self.found.open(flag, _("there is no rustc here that could be asked"), _("install rustc"))
            return
        base = self._answer("", ())
        if base is None:
            self.found.open(f"--target {self.target}", _("no compiler here knows this target"), _("install rustc"))
            return
        known = [f for f in features if self._is_known(f)]
        if cpu and (not _MACHINE.fullmatch(cpu) or cpu not in self.asker.rust_knows("target-cpus", self.target)):
            self.found.open(flags[0], _("rustc here does not know it"))
            cpu = ""
        whole = self._answer(cpu, known)
        if whole is None:
            self.found.open(" ".join(shown), _("rustc here does not take it"))
            return
        left = whole.features - base.features
        for feature in known:
            alone = self._answer("", [feature])
            mine = (alone.features if alone else frozenset()) & left
            self.found.uses(f"-C target-feature={feature}", mine, mine, advice=DROP)
            left -= mine
        has = frozenset(self.platform.cpu.features.value or ())
        rest = left | (whole.features & base.features - has)
        self.found.uses(flags[0] if flags else " ".join(shown), rest, frozenset(), advice=self._baseline())
        self.found.unknown(" ".join(shown), whole.unknown)

    def _baseline(self) -> Message:
        """The level to name to rustc, which knows those of x86-64 by name."""
        has = set(self.platform.cpu.features.value or ())
        levels = (
            [name for name, features in LEVELS.items() if features <= has] if self.platform.arch is Arch.AMD64 else []
        )
        return verbatim(f"-C target-cpu={levels[-1]}") if levels else DROP

    def _is_known(self, feature: str) -> bool:
        name = feature.lstrip("+-")
        if feature[:1] in "+-" and name in (self.asker.rust_knows("target-features", self.target) | {"crt-static"}):
            return True
        self.found.open(f"-C target-feature={feature}", _("rustc here does not know it"))
        return False

    def _answer(self, cpu: str, features: Sequence[str]) -> Answer | None:
        words = [f"-Ctarget-cpu={cpu}"] if cpu else []
        words += [f"-Ctarget-feature={','.join(features)}"] if features else []
        return self.asker.rust_answer(tuple(words), self.platform.arch, self.target)
