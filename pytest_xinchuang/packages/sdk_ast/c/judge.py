"""Judges differences between C APIs: clients of the old version, compiled with either in C and in C++, and linked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_xinchuang.packages.sdk_ast.c.batches import Batch, linked, tried
from pytest_xinchuang.packages.sdk_ast.c.clients import Lines, clients_of
from pytest_xinchuang.packages.sdk_ast.c.delivered import Delivered, arguments, delivered, included
from pytest_xinchuang.packages.sdk_ast.c.deliverycompare import given
from pytest_xinchuang.packages.sdk_ast.c.libraries import LIBRARIES
from pytest_xinchuang.packages.sdk_ast.c.linker import Libraries
from pytest_xinchuang.packages.sdk_ast.c.types import PACKAGE
from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.judge.client import Trial
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol
from pytest_xinchuang.packages.sdk_ast.source import Sources

_WARNINGS = (
    "-Werror=incompatible-pointer-types", "-Werror=int-conversion", "-Werror=implicit-function-declaration",
    "-Werror=incompatible-function-pointer-types", "-Wno-error=incompatible-pointer-types-discards-qualifiers",
)  # fmt: skip
"""What compilers of C refuse by themselves by now (GCC 14), whichever clang this is."""


class CJudge:
    """Tries clients of every declaration."""

    def __init__(self, sources: Sources) -> None:
        self.flags = tuple(sources.options.c_flags)

    def trials(self, comparison: Comparison, _policy: ApiPolicy) -> Sequence[Trial]:
        """Every client of every declaration of the old version, for each target.

        Raises:
            HostFault: libclang does not read at all.
        """
        old, new = comparison.old, comparison.new
        if old.place is None or new.place is None or old.digest == new.digest:
            return ()
        found: list[Trial] = []
        sides = delivered(old.place), delivered(new.place)
        for target in comparison.targets:
            packages = [side.package(PACKAGE, target) for side in (old, new)]
            symbols = [dict(package.symbols) if package else {} for package in packages]
            for batch in _batches(symbols[0], symbols[1]):
                words = [self._words(batch, side, target) for side in sides]
                promised = not batch.cxx or self._serves_cxx(batch.header, sides[0])
                where = "C++" if batch.cxx else ""
                found += tried(batch, words[0], words[1], target=target, where=where, promised=promised)
            libraries = [Libraries.of(side.package(LIBRARIES, target)) for side in (old, new)]
            found += linked(_links(symbols[0]), libraries[0], libraries[1], target)
        return found

    def _words(self, batch: Batch, side: Delivered, target: str) -> list[str]:
        return [*arguments(side, target, self.flags, cxx=batch.cxx), *(() if batch.cxx else _WARNINGS)]

    @staticmethod
    def _serves_cxx(header: str, side: Delivered) -> bool:
        """Whether a header is made for C++ too, and does not merely compile there."""
        for root in side.roots:
            path = root / header.strip("<>")
            if path.is_file():
                return b"__cplusplus" in path.read_bytes()
        return False


def _batches(old: Mapping[str, Symbol], new: Mapping[str, Symbol]) -> Iterator[Batch]:
    """The clients of each header that stands by itself, and of what only it brings along."""
    for header, facts, names in given(old, new):
        for cxx in (False, True) if facts["cxx"] else (False,):
            lines: list[Lines] = []
            for name in sorted(names):
                own = f"{name} {header}"
                symbol = old.get(own) or old.get(name)
                if symbol is not None:
                    lines += clients_of(name, symbol, new.get(own) or new.get(name), cxx=cxx)
            yield Batch.of(header, included(header, standard=not facts["alone"]), lines, cxx=cxx)


def _links(symbols: Mapping[str, Symbol]) -> Iterator[tuple[str, str]]:
    """Functions and variables with the names that linkers know."""
    for name, symbol in symbols.items():
        if symbol["kind"] in ("func", "var") and " <" not in name:
            yield name, str((symbol.get("facts") or {}).get("link", name))
