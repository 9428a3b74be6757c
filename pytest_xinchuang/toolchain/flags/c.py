"""Lines of C compilers: which words a compiler takes, what it may use with them, and what ABI it makes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim
from pytest_xinchuang.toolchain.flags.ask import Answer, Asker
from pytest_xinchuang.toolchain.flags.features import is_of
from pytest_xinchuang.toolchain.flags.found import DROP, Found
from pytest_xinchuang.toolchain.flags.words import Parts
from pytest_xinchuang.tools.versions import toolchains

Word = tuple[str, ...]

_NATIVE = re.compile(r"-m(arch|cpu|tune)=native(?:\+.*)?")
_CPU = re.compile(r"-m(?:arch|cpu)=")
_CPU_OPTION = re.compile(r"-m(?:arch|cpu|tune)=")
_ASSEMBLER = re.compile(
    r"--noexecstack|--execstack|--compress-debug-sections.*|--nocompress-debug-sections|-g.*|--g.*|-a.*|-I.*|-L.*|-W|--warn|--no-warn"
    r"|--fatal-warnings|--size-check=.*|--strip-local-absolute|--reduce-memory-overheads|--hash-size.*|--(?:no-)?pad-sections|-D|-k"
    r"|-mrelax-relocations=.*|-mx86-used-note=.*|-mbranches-within-32B-boundaries|-malign-branch.*|-mcompress|-m(?:no-)?relax|-mfence-as.*"
    r"|-momit-lock-prefix.*|--debug-prefix-map.*|--generate-missing-build-notes=.*|-mabi=lp64d?|--elf-stt-common=.*|--64|-MD|--sectname.*"
)

OTHER_MACHINES = re.compile(
    r"i[3-6]86|arm(?!64|v8)\w*|thumb\w*|mips\w*|riscv\w*|powerpc\w*|ppc\w*|s390x?|sparc\w*|sw_64|alpha|ia64|m68k|wasm\w*|hppa\w*|sh4\w*"
)
"""First words of target triples of machines that no platform is."""


class CLine:
    """One line of a C compiler, on one platform."""

    def __init__(self, parts: Parts, platform: Platform, found: Found, asker: Asker) -> None:
        self.parts, self.platform, self.found, self.asker = parts, platform, found, asker
        self.arch = platform.arch
        self.usual = target_of(platform)
        self.target = re.sub(r"\.\d[\d.]*$", "", parts.target) or self.usual
        self.doubt: Message = NOTHING
        self.written: dict[Word, Word] = {}

    def judge(self) -> None:
        """Find what of the line does not fit."""
        parts = self.parts
        if parts.compiler == "other":
            self.found.open(parts.named, _("its compiler is not here to be asked"))
            return
        if machine_differs(parts.machine, self.platform):
            self.found.foreign(parts.named, _("its compiler makes code for another architecture"))
            return
        words = self._native(parts.asked)
        meant = {self._meant(word): word for word in dict.fromkeys(words)}
        self.written = {new: old for new, old in meant.items() if new != old}
        known = [w for w in meant if w]
        assembled = self._assembler()
        if not (known or assembled or parts.target):
            return
        if self.asker.zig is None and self.asker.gcc(self.platform.architecture) is None:
            self._nobody([*known, *assembled])
            return
        if self.asker.zig is not None and self.asker.clang_answer((), self.arch, self.target) is None:
            self.found.open(parts.target, _("no compiler here knows this target"), toolchains())
            return
        self._ask(known)
        for shown, token in assembled:
            self._assembled(shown, token)

    def _nobody(self, words: Sequence[Word]) -> None:
        for word in words:
            self.found.open(self._shown(word), _("there is no compiler here that could be asked"), toolchains())

    def _shown(self, word: Word) -> str:
        """A word as it was written."""
        return " ".join(self.written.get(word, word))

    def _shown_all(self, words: Sequence[Word]) -> str:
        return " ".join(map(self._shown, words))

    # -- what is meant

    def _native(self, words: Sequence[Word]) -> list[Word]:
        """Without the CPU of the build machine; of flags that set the same the last one counts."""
        last = {word[0].partition("=")[0]: word for word in words if _CPU.match(word[0])}
        for word in last.values():
            if _NATIVE.fullmatch(word[0]):
                reason = _("it takes the CPU of the build machine")
                self.found.add("XC-FLAG-003", Certainty.CERTAIN, word[0], reason, _("name the platform's baseline"))
        return [w for w in words if not _NATIVE.fullmatch(w[0])]

    def _meant(self, word: Word) -> Word:
        """A word as clang is told it: zig names CPUs with `_`, and on x86-64 by -mcpu, which for GCC is -mtune."""
        option, _equals, value = word[0].partition("=")
        if self.arch is Arch.ARM64 and option in ("-mcpu", "-mtune"):
            # GCC names clusters of two kinds of cores so, of which both have the same instructions.
            value = re.sub(r"^([a-z0-9-]+)\.cortex-a\d+", r"\1", value)
        if option not in ("-mcpu", "-march") or not value:
            return (f"{option}={value}",) if value else word
        compiler = self.parts.compiler
        if compiler in ("", "zig") and "_" in value:
            value = value.replace("_", "-")
        if option == "-mcpu" and self.arch is Arch.AMD64:
            if compiler == "gcc":
                return (f"-mtune={value}",)
            if compiler == "":
                self.doubt = _("GCC takes -mcpu for -mtune on x86-64, and zig for the CPU")
            if compiler in ("", "zig"):
                name, *more = re.split(r"(?=\+)", value)
                march = () if name in ("baseline", "generic", "x86-64") else (f"-march={name}",)
                return (*march, *(f"-m{m[1:]}" for m in more))
        return () if value == "baseline" and compiler == "zig" else (f"{option}={value}",)

    # -- asking

    def _clang(self, words: Sequence[Word], target: str = "") -> Answer | None:
        if self.asker.zig is None:
            return None
        return self.asker.clang_answer(tuple(w for word in words for w in word), self.arch, target or self.target)

    def _gcc(self, words: Sequence[Word]) -> Answer | None:
        program = self.asker.gcc(self.platform.architecture)
        if program is None or self.parts.compiler in ("clang", "zig") or self.parts.target:
            return None
        if any(word[0] == "-Xclang" for word in self.parts.asked):
            return None  # the line is clang's: no GCC has that option
        return self.asker.gcc_answer(program, tuple(w for word in words for w in word), self.arch)

    def _ask(self, words: list[Word]) -> None:
        by_clang, by_gcc = self._clang(words), self._gcc(words)
        if by_clang is None:
            taken = [w for w in words if self._clang([w]) is not None]
            by_clang = self._clang(taken)
        else:
            taken = words
        if by_gcc is None:
            by_gcc = self._gcc([w for w in words if self._gcc([w]) is not None])
        for word in words:
            # clang ignores some flags of other architectures, and GCC refuses them.
            foreign = not _CPU_OPTION.match(word[0]) and any(is_of(word[0], a) for a in Arch if a is not self.arch)
            foreign = foreign and self.parts.compiler not in ("clang", "zig")
            if (word not in taken or foreign) and self._gcc([word]) is None:
                self._refused(word)
        answers = [a for a in (by_clang, by_gcc) if a is not None]
        if len(taken) < len(words) and by_clang is None and by_gcc is None and taken:
            self.found.open(self._shown_all(words), _("no compiler here takes these flags together"))
        if answers:
            self._compare(answers, words)

    def _refused(self, word: Word) -> None:
        """No compiler here for this architecture takes a word."""
        flag = self._shown(word)
        if any(f.object == flag for f in self.found.findings):
            return  # that it is refused is known by hand
        own = self.platform.architecture
        if (gcc_only := OF_GCC.get(self.arch)) and gcc_only.fullmatch(word[0]) and self.parts.compiler != "clang":
            return
        if word[0].startswith("-m") or OF_X86.fullmatch(word[0]):
            for arch, target in OTHER_TARGETS.items():
                of_other = is_of(word[0], arch) or (arch is Arch.AMD64 and OF_X86.fullmatch(word[0]) is not None)
                if arch is not self.arch and of_other and self._is_taken(word, arch, target):
                    reason = _(
                        "compilers for {arch} refuse it, it is a flag for {other}", arch=own.uname, other=arch.value
                    )
                    self.found.add("XC-FLAG-001", Certainty.CERTAIN, flag, reason, DROP)
                    return
        elif self._is_of_none(word):
            return  # a flag of GCC that is of no architecture
        self.found.open(flag, _("no compiler here knows it for {arch}", arch=own.uname))

    def _is_of_none(self, word: Word) -> bool:
        """Whether some GCC takes a flag that clang takes for no architecture: that GCC's own says nothing of another's."""
        if any(self._is_taken(word, arch, target) for arch, target in OTHER_TARGETS.items()):
            return False
        gcc = self.asker.some_gcc()
        return gcc is not None and self.asker.gcc_answer(gcc, word, None) is not None

    def _is_taken(self, word: Word, arch: Arch, target: str) -> bool:
        return self.asker.zig is not None and self.asker.clang_answer(word, arch, target) is not None

    # -- comparing

    def _compare(self, answers: Sequence[Answer], words: Sequence[Word]) -> None:
        base = self._clang((), self.usual) or self._gcc(())
        assert base is not None
        if self._abi(answers[0], words):
            return
        every = frozenset[str]().union(*(a.features for a in answers))
        by_all = every.intersection(*(a.features for a in answers))
        left = every - base.features
        for word in words:
            alone = self._alone(word)
            if alone is None:
                continue
            mine = alone.features & left
            if mine:
                self._uses(self._shown(word), mine, by_all, self._named(word, mine))
                left -= mine
            self.found.unknown(self._shown(word), alone.unknown)
        # What no flag alone brings, and what the compiler takes for granted and the CPU has not.
        has = self.platform.cpu.features.value
        if rest := left | (every & base.features - set(has) if has is not None else frozenset()):
            self._uses(self._shown_all(words), rest, by_all, frozenset())

    def _uses(self, flag: str, features: frozenset[str], by_all: frozenset[str], named: frozenset[str]) -> None:
        """Hold features against the CPU; those that only one of two compilers would use are in doubt."""
        self.found.uses(flag, features & by_all, named, self.doubt)
        if rest := features - by_all:
            self.found.uses(flag, rest, named, self.doubt or _("not every compiler here would use it"))

    def _alone(self, word: Word) -> Answer | None:
        return self._clang([word]) or self._gcc([word])

    def _named(self, word: Word, features: frozenset[str]) -> frozenset[str]:
        """The features that a flag names itself: all of `-maes`, those behind the plus of `-march=armv8-a+crypto`."""
        if not _CPU.match(word[0]):
            return features
        before, plus, _after = word[0].partition("+")
        alone = self._alone((before,)) if plus else None
        return features - alone.features if alone else frozenset()

    def _abi(self, answer: Answer, words: Sequence[Word]) -> bool:
        """Whether the line makes another ABI than the platform's, which is then a finding."""
        base = self._clang((), self.usual) or self._gcc(())
        assert base is not None
        differs = _abi_differs(answer, base)
        if not differs:
            return False
        if self.parts.target and _abi_differs(self._clang(()) or answer, base):
            self._target(answer, base, differs)
            return _abi_is_of_other_machine(answer, base)
        guilty = [w for w in words if (one := self._alone(w)) is not None and _abi_differs(one, base)]
        self.found.foreign(self._shown_all(guilty or words), joined(differs))
        return _abi_is_of_other_machine(answer, base)

    def _target(self, answer: Answer, base: Answer, differs: Sequence[Message]) -> None:
        only_libc = not _abi_is_of_other_machine(answer, base) and "linux" in answer.abi.get("target", "")
        static = any(w in ("-static", "-static-pie") for w in self.parts.given)
        if only_libc and static:
            return  # such a program brings its libc
        self.found.foreign(f"-target {self.parts.target}", joined(differs))

    # -- the assembler

    def _assembler(self) -> list[tuple[str, str]]:
        """What has to be asked of the words for the assembler."""
        asked = []
        for shown, token in self.parts.assembler:
            if re.fullmatch(r"-m(?:arch|cpu)=[\w.+-]+", token):
                asked.append((shown, token))
            elif not _ASSEMBLER.fullmatch(token):
                self.found.open(shown, _("it is no flag of the assembler that is known here"))
        return asked

    def _assembled(self, shown: str, token: str) -> None:
        answer = self._clang([(token,)])
        if answer is None:
            self.found.open(shown, _("no compiler here knows it for {arch}", arch=self.platform.architecture.uname))
        else:
            base = self._clang((), self.usual)
            features = answer.features - (base.features if base else frozenset())
            self.found.uses(shown, features, frozenset(), _("the assembler takes it in code that is written by hand"))


OF_GCC = {
    Arch.ARM64: re.compile(
        r"-m(?:no-)?(?:fix-cortex-a53-(?:835769|843419)|low-precision-(?:recip-sqrt|sqrt|div)|pc-relative-literal-loads|track-speculation"
        r"|omit-leaf-frame-pointer|early-(?:ra|ldp-fusion)|late-ldp-fusion)(?:=\w+)?|-mtls-dialect=(?:trad|desc)|-mtls-size=\d+"
        r"|-mstack-protector-guard(?:-reg|-offset)?=[\w-]+|-mcmodel=(?:tiny|small|large)"
    ),
    Arch.LOONG64: re.compile(
        r"-m(?:no-)?(?:explicit-relocs|direct-extern-access|cond-move-(?:int|float)|check-zero-division|pass-mrelax-to-as|relax"
        r"|annotate-tablejump|branch-cost|max-inline-memcpy-size|strict-align)(?:=\w+)?|-mcmodel=(?:normal|medium|extreme)"
    ),
}
"""Flags that GCC has and clang may lack, and that make no other instructions (GCC, AArch64 and LoongArch options)."""

OF_X86 = re.compile(r"-fcf-protection(?:=(?!none|check)\w+)?")
"""Flags without a machine's letter that compilers have for x86 alone: GCC and clang refuse them elsewhere (GCC manual, Program
Instrumentation Options)."""

OTHER_TARGETS = {Arch.AMD64: "x86_64-linux-gnu", Arch.ARM64: "aarch64-linux-gnu", Arch.LOONG64: "loongarch64-linux-gnu"}
"""An architecture -> how clang is told to make code for it."""


def target_of(platform: Platform) -> str:
    """The target of a platform, as clang is told it."""
    usual = OTHER_TARGETS[platform.arch]
    return usual.replace("-gnu", "-musl") if platform.system.libc == "musl" else usual


def machine_differs(machine: str, platform: Platform) -> bool:
    """Whether the first word of a target triple is of another architecture than the platform's."""
    if not machine or machine in platform.architecture.aliases or machine == platform.architecture.uname:
        return False
    others = {t.split("-")[0] for a, t in OTHER_TARGETS.items() if a is not platform.arch}
    others |= {a.value for a in Arch if a is not platform.arch}
    return machine in others or bool(OTHER_MACHINES.fullmatch(machine))


def _system_of(triple: str) -> tuple[str, ...]:
    """A triple without its vendor, and without an environment that it does not say."""
    words = triple.split("-")
    return (words[0], *(words[2:] if len(words) > 3 else words[-2:] if len(words) > 2 else words[1:]))


def _abi_differs(answer: Answer, base: Answer) -> list[Message]:
    """What differs between two ABIs, in words."""
    found = []
    for name in dict.fromkeys([*base.abi, *answer.abi]):
        made, wanted = answer.abi.get(name, ""), base.abi.get(name, "")
        if name == "target":
            made, wanted = "-".join(_system_of(made)), "-".join(_system_of(wanted))
        if name not in answer.abi and name in ("target", "sizes", "target-abi"):
            continue  # GCC's answer has none of these
        if made != wanted:
            shown = verbatim(name.strip("_"))
            none = _("nothing")
            text = _(
                "{name} is {made}, and {wanted} on the platform", name=shown, made=made or none, wanted=wanted or none
            )
            found.append(text)
    return found[:3]


def _abi_is_of_other_machine(answer: Answer, base: Answer) -> bool:
    names = ("__x86_64__", "__aarch64__", "__loongarch64")
    return any(answer.abi.get(n) != base.abi.get(n) for n in names)
