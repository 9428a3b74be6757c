"""Compares Go structures that go to the kernel with their C layout: the classical mistake of a hand-written bridge."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from pytest_xinchuang.core.errors import DataFileError, HostFault, UnknownName
from pytest_xinchuang.messages import Message, _, joined, verbatim
from pytest_xinchuang.packages.syscall_bridge.layouts import FieldLayout, Layout, Layouts
from pytest_xinchuang.packages.syscall_bridge.reasons import reason_of
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.goprograms import GOLAYOUT, go_program, purpose
from pytest_xinchuang.tools.process import Runner, last_line

TIMEOUT_S = 120
"""Seconds for the largest package of the standard library, on a loaded machine."""

KNOWN = {
    # Go's syscall and x/sys/unix call them so.
    "Stat_t": "struct stat",
    "Statx_t": "struct statx",
    "Statfs_t": "struct statfs",
    "Timespec": "struct timespec",
    "Timeval": "struct timeval",
    "EpollEvent": "struct epoll_event",
    "Flock_t": "struct flock",
    "Rusage": "struct rusage",
    "Utsname": "struct new_utsname",
    "Sysinfo_t": "struct sysinfo",
    "Rlimit": "struct rlimit64",
    "Termios": "struct termios",
    "Winsize": "struct winsize",
    "PollFd": "struct pollfd",
    "Iovec": "struct iovec",
    "SignalfdSiginfo": "struct signalfd_siginfo",
    "Itimerspec": "struct itimerspec",
    "CloneArgs": "struct clone_args",
    "OpenHow": "struct open_how",
}
"""Go's name -> the kernel's, for structures that are called as Go's own packages call them."""


class GoField(BaseModel):
    """A field that has no fields of its own; sizes in bytes."""

    name: str
    offset: int
    size: int

    @property
    def is_padding(self) -> bool:
        return bool(re.search(r"(^|\.)(_|[Pp]ad|X_|Reserved|Spare|Unused)", self.name))


class GoStruct(BaseModel):
    """A Go structure as the compiler lays it out."""

    size: int
    align: int
    fields: list[GoField]


class GoStructs(BaseModel):
    """The structures of a package; ``open`` names those with a field whose type could not be read."""

    structs: dict[str, GoStruct]
    open: dict[str, str]


def read_go(directory: Path, goarch: str, cache: Cache, runner: Runner | None = None) -> GoStructs:
    """The structures of a Go package for an architecture.

    Raises:
        DataFileError: the package does not parse.
        HostFault: there is no Go.
    """
    runner = runner or Runner()
    program = go_program(cache, GOLAYOUT, runner)
    done = runner.run([str(program), goarch, str(directory)], timeout_s=TIMEOUT_S).exited()
    if not done.ok:
        said = last_line(done.errors)
        raise DataFileError(
            _("{directory}: not a Go package for {arch}: {said}", directory=directory, arch=goarch, said=verbatim(said))
        )
    try:
        return GoStructs.model_validate(json.loads(done.text))
    except (ValueError, ValidationError) as error:
        raise HostFault(
            _("{program} answered what cannot be read: {why}", program=purpose(GOLAYOUT), why=reason_of(error))
        ) from error


@dataclass(frozen=True)
class Mistake:
    """A Go structure that is laid out otherwise than the kernel's."""

    go: str
    c: str
    text: Message

    @property
    def told(self) -> Message:
        """The mistake for people."""
        return _("{go} is not {c}: {text}", go=self.go, c=self.c, text=self.text)

    def __str__(self) -> str:
        return self.told


def pairs_of(found: GoStructs, own: Mapping[str, str]) -> dict[str, str]:
    """The structures to compare, Go's name -> the kernel's: those with names of Go's own packages, and ``own``."""
    return {go: c for go, c in KNOWN.items() if go in found.structs or go in found.open} | dict(own)


def check_go(found: GoStructs, layouts: Layouts, arch: str, pairs: Mapping[str, str]) -> list[Mistake]:
    """The mistakes of the structures that ``pairs`` names (Go -> C).

    Raises:
        UnknownName: the package or the kernel has no structure of a name.
    """
    table = layouts.of(arch)
    mistakes = []
    for go, c in pairs.items():
        if c not in table:
            raise UnknownName(
                _("the kernel's headers for {arch} have no {c}", arch=arch, c=verbatim(repr(c))),
                mend=verbatim("xc syscalls layout show"),
            )
        if go in found.open:
            raise UnknownName(
                _(
                    "the type of {go}.{open} cannot be read, and so {go} cannot be checked",
                    go=go,
                    open=verbatim(found.open[go]),
                )
            )
        if go not in found.structs:
            raise UnknownName(
                _(
                    "the package has no structure {go}; it has {value}",
                    go=verbatim(repr(go)),
                    value=joined(map(verbatim, sorted(found.structs)), _(", ")) if found.structs else _("none"),
                )
            )
        mistakes += [Mistake(go, c, text) for text in differences(found.structs[go], table[c])]
    return mistakes


def differences(go: GoStruct, c: Layout) -> list[Message]:
    """How a Go structure differs from C's: its size, a field at another place, a field that lies across two."""
    found: list[Message] = []
    if go.size != c.size:
        found.append(_("{size} bytes, the kernel's has {wanted}", size=go.size, wanted=c.size))
    members = [m for m in c.members if not m.bitfield and "." not in m.name]
    by_name = {_plain(m.name): m for m in members}
    for field in go.fields:
        if field.is_padding:
            continue
        same = by_name.get(_plain(field.name.replace(".", "_").lower()), by_name.get(_plain(field.name)))
        if same is not None and same.offset // 8 != field.offset:
            found.append(
                _(
                    "{go} is at {place}, {c} is at {wanted}",
                    go=field.name,
                    place=field.offset,
                    c=same.name,
                    wanted=same.offset // 8,
                )
            )
        elif same is not None and same.size // 8 < field.size:
            found.append(
                _(
                    "{go} has {size} bytes, {c} has {wanted}",
                    go=field.name,
                    size=field.size,
                    c=same.name,
                    wanted=same.size // 8,
                )
            )
        elif same is None and not _inside(field, members, c.size):
            found.append(
                _(
                    "{go} at {place} with {size} bytes lies in no field of the kernel's",
                    go=field.name,
                    place=field.offset,
                    size=field.size,
                )
            )
    return found


def _inside(field: GoField, members: list[FieldLayout], size: int) -> bool:
    end = field.offset + field.size
    if end > size:
        return False
    for member in members:
        start, stop = member.offset // 8, (member.offset + member.size) // 8
        if start <= field.offset and end <= stop:
            return True
    return False


def _plain(name: str) -> str:
    """A field's name without what C and Go put around it: st_mode and Mode, tv_nsec and Nsec."""
    last = name.split(".")[-1].lower()
    return re.sub(r"^(st|stx|f|tv|sa|ru|l|c|ws|iov|ssi|it|sc|uc|si)_", "", last).replace("_", "")
