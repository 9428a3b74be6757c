"""The files of one build: found, told by their digests, and copied, so that the compiler is given no others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core import inputs
from pytest_xinchuang.core.errors import BuildFailed, ToolchainFault
from pytest_xinchuang.messages import _, system_error, verbatim


@dataclass(frozen=True)
class Tree:
    """The files that one build may read, by the directory that they all are below."""

    base: Path
    files: tuple[Path, ...]
    outside: tuple[Path, ...] = ()
    """What the files name and is not given, since it stands outside."""
    taken: tuple[Path, ...] = ()
    """What of that they take in as data: neither assemblers nor, with -MD, Clang (22) list it, and Clang misses none of it."""

    @classmethod
    def of_c(
        cls, sources: Sequence[Path], flags: Sequence[str], within: Path | None, libraries: Sequence[str] = ()
    ) -> Tree:
        here, base = sources[0].parent, within or Path.cwd()
        forced = inputs.forced_includes(flags, here, base)
        outside: dict[Path, bool] = {}
        linked = inputs.linked([*flags, *(f"-l{name}" for name in libraries)], here, base)
        outside |= {path: True for path in linked if inputs.leaves(path, within)}
        with _readable():
            for path in (*sources, *forced):
                if inputs.leaves(path, within):
                    raise BuildFailed(
                        _("{path} is outside of {within}", path=verbatim(str(path)), within=verbatim(str(within))),
                        argv=[],
                        output="",
                    )
            dirs = inputs.include_dirs(flags, here, base)
            files = inputs.included([*sources, *forced], dirs, within, outside.setdefault)
        files = sorted({*files, *(path for path in linked if path not in outside)})
        return cls(
            within or _common(files),
            tuple(files),
            tuple(outside),
            tuple(path for path, data in outside.items() if data),
        )

    @classmethod
    def of_go(cls, directory: Path, within: Path | None) -> Tree:
        with _readable():
            files = inputs.of_go(directory, within)
        if not files:
            raise BuildFailed(_("there is no file in {directory}", directory=directory), argv=[], output="")
        return cls(within or _common([*files, directory / "go.mod"]), tuple(files))

    def digests(self) -> dict[str, str]:
        """Name below the base -> SHA-256."""
        with _readable():
            return {
                path.relative_to(self.base).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in self.files
            }

    def copy_to(self, place: Path, digests: Mapping[str, str]) -> Path:
        """Write the files below ``place``; returns it.

        Raises:
            BuildFailed: one cannot be read.
            ToolchainFault: one has not the digest that it had.
        """
        for path in self.files:
            name = path.relative_to(self.base)
            target = place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with _readable():
                data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != digests[name.as_posix()]:
                raise ToolchainFault(_("{path} was changed while it was being built", path=verbatim(str(path))))
            target.write_bytes(data)
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
