"""Which flags a manifest may hand to a C compiler: an allow-list, since compilers have many that write, load or read files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_xinchuang.core import inputs
from pytest_xinchuang.core.errors import BuildFailed
from pytest_xinchuang.messages import Message, _, verbatim

_PLACES = ("-I", "-iquote", "-isystem", "-idirafter", "-L")
_FILES = ("-include", "-imacros")
_WITH_NAME = ("-D", "-U", "-l", "-u", "-x", "-z", "-e", "--param")
"""Flags whose next word is a name or a number."""

_OURS = ("-MD", "-MMD", "-MP")
"""Lists of dependencies at their default place: we have one made at ours."""

_FLAG = re.compile(
    r"""
      -O(?:[0-3sgz]|fast)? | -g(?:[0-3]|gdb[0-3]?|dwarf(?:-[2-5])?|z|line-tables-only|no-[a-z-]+)?
    | -w | -W(?!l,|a,|p,)[A-Za-z][\w+-]*(?:=[\w+.-]+)?
    | -D\s*[A-Za-z_]\w*(?:\(.*?\))?(?:=.*)? | -U\s*\w+
    | -std=[\w+:]+ | -ansi | -pedantic(?:-errors)? | -trigraphs | -undef
    | -m(?!llvm|crash)[\w-]+(?:=[\w.,+-]+)?
    | -f(?!plugin|pass-plugin|dump|profile|module|implicit-module|prebuilt-module|save-optimization|optimization-record
        |time-|trace|crash|callgraph|stack-usage|debug-pass|working-directory|build-session|diagnostics-format|sanitize-[a-z]+list
        |coverage|proc-stat|test-coverage|record-command|create-profile|pch|cs-profile|xray)[a-zA-Z][\w+-]*(?:=[\w.,:+-]+)?
    | -f(?:file|debug|macro)-prefix-map=[^=]*=.*
    | -c | -s | -shared | -static(?:-pie|-libgcc|-libstdc\+\+)? | -pie | -no-pie | -nopie | -rdynamic | -pthreads? | -pipe
    | -nostdlib | -nostartfiles | -nodefaultlibs | -nolibc | -nostdinc | -ffreestanding
    | -l:?[\w.+-]+ | -x(?:c|assembler|assembler-with-cpp|none) | -z[\w=,-]+ | -u\w+ | -e\w+
    | --param=[\w-]+=\d+
    | -Wp,-[DU][A-Za-z_]\w*(?:=[^,]*)? | -Wa,(?:--noexecstack|-m[\w=.+-]+)(?:,(?:--noexecstack|-m[\w=.+-]+))*
    """,
    re.X | re.S,
)
_NAME = re.compile(r"(?!-)[\w.+-]+(?:\(.*?\))?(?:=.*)?", re.S)

_LINKER = re.compile(
    r"""
      --?(?:soname|rpath|dynamic-linker|wrap|defsym|entry|undefined|exclude-libs|hash-style|build-id|image-base|section-start
        |pack-dyn-relocs|icf|orphan-handling|compress-debug-sections|max-page-size|common-page-size)(?:=.*)?
    | -h | -z | -e | -u | -O\d? | -s | -S | -x | -X | -q | -E | -d[cp]? | -[hzeu]\w.*
    | --(?:no-)?(?:as-needed|gc-sections|undefined|allow-shlib-undefined|whole-archive|relax|copy-dt-needed-entries
        |export-dynamic|demangle|fatal-warnings|eh-frame-hdr|undefined-version|keep-memory|warn-[a-z-]+|define-common|dynamic-list-[a-z-]+)
    | --(?:start|end)-group | --(?:enable|disable)-new-dtags | --strip-(?:all|debug) | --sort-[a-z=-]+ | --emit-relocs
    | --allow-multiple-definition | --default-symver | --discard-(?:all|locals) | --unresolved-symbols=[a-z-]+
    | --pie | --nostdlib
    | -Bsymbolic(?:-functions)? | -B(?:static|dynamic) | --Bsymbolic(?:-functions)?
    """,
    re.X | re.S,
)
_SCRIPT = re.compile(r"(--?(?:version-script|dynamic-list)=)(.+)")


def is_plain(flag: str) -> bool:
    """Whether a compiler that is given a flag alone writes, loads and names no files for it."""
    return bool(_FLAG.fullmatch(flag))


def is_plain_of_linker(word: str) -> bool:
    """The same of a word that a compiler hands on to the linker."""
    return bool(_LINKER.fullmatch(word))


class FlagsOf:
    """The flags of a build as its compiler is given them, which works in a copy of the files.

    Args:
        here: the first source's directory, which flags may call ``{here}``.
        base: the directory that relative names start from.
        within: the directory that nothing may be read outside of; None: no bounds.
        tree: the directory that the copy was made of.

    Raises:
        BuildFailed: one is not on the allow-list, or names a place outside of ``within``.
    """

    def __init__(self, flags: Sequence[str], here: Path, base: Path, within: Path | None, tree: Path) -> None:
        self._given = list(flags)
        self._here, self._base, self._within, self._tree = here, base, within, tree
        self.words = tuple(self._each())

    def _each(self) -> Iterator[str]:
        words = iter(self._given)
        for word in words:
            after = next((flag for flag in (*_PLACES, *_FILES) if word.startswith(flag)), "")
            if word in (*_PLACES, *_FILES):
                name = next(words, "")
                place = self._file(word, name) if word in _FILES else self._place(word, name)
                if place is not None:
                    yield from (word, place)
            elif after in _PLACES:
                place = self._place(word, word[len(after) :].lstrip("="))
                if place is not None:
                    yield after + place
            elif word in _WITH_NAME:
                name = next(words, "")
                if not _NAME.fullmatch(name):
                    raise _refused(f"{word} {name}")
                yield from (word, name)
            elif word == "-Xlinker":
                yield from (word, self._of_linker(word, [next(words, "")])[0])
            elif word.startswith("-Wl,"):
                yield ",".join(["-Wl", *self._of_linker(word, word.split(",")[1:])])
            elif word in _OURS:
                continue
            elif _FLAG.fullmatch(word):
                yield word
            else:
                raise _refused(word)

    def _of_linker(self, flag: str, words: list[str]) -> list[str]:
        done = []
        follows = False
        for word in words:
            if match := _SCRIPT.fullmatch(word):
                done.append(match[1] + self._file(flag, match[2]))
            elif follows or _LINKER.fullmatch(word):
                done.append(word)
            else:
                raise _refused(flag)
            follows = word in ("-h", "-z", "-e", "-u", "-soname", "--soname", "-rpath", "--rpath", "--wrap", "--defsym")
        return done

    def _absolute(self, flag: str, name: str) -> Path:
        place = Path(os.path.normpath(self._base / name.replace("{here}", str(self._here))))
        if inputs.leaves(place, within := self._within):
            raise BuildFailed(
                _(
                    "the flag {flag} names {place}, which is outside of {within}",
                    flag=verbatim(repr(flag)),
                    place=verbatim(str(place)),
                    within=verbatim(str(within)),
                ),
                argv=[],
                output="",
            )
        return place

    def _place(self, flag: str, name: str) -> str | None:
        """A directory as the copy has it; None where the copy cannot hold it."""
        if not name:
            raise _refused(flag)
        place = self._absolute(flag, name)
        return place.relative_to(self._tree).as_posix() if place.is_relative_to(self._tree) else None

    def _file(self, flag: str, name: str) -> str:
        """A file as the copy has it; one that is not there is left to the search path."""
        if not name:
            raise _refused(flag)
        place = self._absolute(flag, name)
        return (
            place.relative_to(self._tree).as_posix() if place.is_file() and place.is_relative_to(self._tree) else name
        )


def _refused(flag: str) -> BuildFailed:
    what: Message = _("the flag {flag} is not among those that a build may use", flag=verbatim(repr(flag)))
    return BuildFailed(what, argv=[], output="")
