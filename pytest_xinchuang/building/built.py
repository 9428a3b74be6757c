"""Units as they are delivered to a target: files to put in the sandbox, the command, the objects to inspect."""

from __future__ import annotations

import fnmatch
import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import BuildFailed, XcError
from pytest_xinchuang.core.platform import Arch, Architecture, Platform
from pytest_xinchuang.core.subject import Library, Subject, Unit
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.inspect.extract import extract
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.provision.places import in_tree
from pytest_xinchuang.provision.refs import RootfsRef
from pytest_xinchuang.sandbox.protocol import BASE_ENV, WORK_DIR
from pytest_xinchuang.sandbox.shims import REQUESTS, shims
from pytest_xinchuang.toolchain.builder import Builder, Target
from pytest_xinchuang.tools.process import Runner

LIBRARY_DIRS = ("lib/{triplet}", "usr/lib/{triplet}", "lib64", "usr/lib64", "lib", "usr/lib")
"""Where glibc's loader looks without a cache, on Debian's and on Red Hat's layout."""


@dataclass(frozen=True)
class Built:
    """A unit, ready to run on one target.

    Attributes:
        files: path in the sandbox -> content, all executable.
        objects: name -> ELF content of everything of the subject's that is loaded, to be inspected.
        shipped: the file names of shared libraries that come with it.
        library_dirs: where in the sandbox they are.
        shims: programs in ``shims`` stand before the real ones.
    """

    unit: Unit
    argv: tuple[str, ...]
    files: dict[str, bytes] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    shipped: frozenset[str] = frozenset()
    library_dirs: tuple[str, ...] = ()
    shims: bool = False

    @property
    def directory(self) -> str:
        return f"{WORK_DIR}/{self.unit.name}"

    @property
    def env(self) -> dict[str, str]:
        place = {"HOME": self.directory, "TMPDIR": self.directory}
        if self.shims:
            place |= {
                "PATH": f"{self.directory}/shims:{BASE_ENV['PATH']}",
                "XC_REQUESTS": f"{self.directory}/{REQUESTS}",
            }
        return place | ({"LD_LIBRARY_PATH": ":".join(self.library_dirs)} if self.library_dirs else {})


def library_dirs(rootfs: RootfsRef, architecture: Architecture) -> tuple[Path, ...]:
    places = (rootfs.path / d.format(triplet=architecture.triplet) for d in LIBRARY_DIRS)
    return tuple(place for place in places if place.is_dir())


def target_for(platform: Platform, rootfs: RootfsRef) -> Target:
    """What units are built for: the platform's CPU, and no newer libc than the platform's or the root filesystem's."""
    known = [v for v in (platform.system.libc_version.value, rootfs.libc_version) if v]
    return Target(
        arch=platform.arch,
        architecture=platform.architecture,
        libc_version=min(known, key=version_key),
        c_flags=platform.cpu.c_flags.value or (),
        go_env=tuple(sorted((platform.cpu.go_env.value or {}).items())),
        library_dirs=library_dirs(rootfs, platform.architecture),
        include_dirs=(),
        sysroot_digest=rootfs.digest,
    )


def plain_target(platform: Platform, rootfs: RootfsRef) -> Target:
    """The same for the plainest CPU of the architecture: what runs better must find out at run time."""
    return replace(target_for(platform, rootfs), c_flags=(), go_env=())


def reference_target(architecture: Architecture, rootfs: RootfsRef) -> Target:
    """The x86-64 twin: the plainest x86-64, so that it runs on any host."""
    return Target(
        arch=Arch.AMD64,
        architecture=architecture,
        libc_version=min((rootfs.libc_version, "2.28"), key=version_key),
        c_flags=("-mcpu=x86_64",),
        library_dirs=library_dirs(rootfs, architecture),
        sysroot_digest=rootfs.digest,
    )


def build(
    builder: Builder,
    subject: Subject,
    unit: Unit,
    target: Target,
    rootfs: RootfsRef,
    salt: str = "",
    platform: Platform | None = None,
    short: str | None = None,
) -> Built:
    """Build or fetch what ``unit`` is on ``target``; ``platform`` (and its short name) is None for the x86-64 twin.

    Raises:
        BuildFailed: the source does not build, or there is no file for this architecture.
        ToolchainFault: the tool chain is missing or broken.
    """
    place = f"{WORK_DIR}/{unit.name}"
    if unit.kind == "rootfs":
        found = in_tree(rootfs.path, unit.program)
        if found is None:
            raise BuildFailed(
                _("{program} is not in the root filesystem {name}", program=unit.program, name=rootfs.name),
                argv=[],
                output="",
            )
        return Built(unit, (unit.program, *unit.args), {}, {unit.program: found.read_bytes()})
    if unit.kind == "artifact":
        return _from_artifact(subject, unit, target, platform, short, builder.runner)
    if unit.kind == "installer":
        script = subject.path(unit.sources[0])
        files = {f"{place}/{script.name}": script.read_bytes()}
        if platform is not None:
            files |= shims(platform, place)
        return Built(unit, (f"{place}/{script.name}", *unit.args), files, shims=True)
    if unit.kind == "shell":
        script = subject.path(unit.sources[0])
        return Built(unit, (f"{place}/{script.name}", *unit.args), {f"{place}/{script.name}": script.read_bytes()})
    if unit.libc_version:
        target = replace(target, libc_version=unit.libc_version)
    flags = unit.c_flags.get(target.arch, ())
    libraries = {lib.name: _library(builder, subject, lib, target, salt) for lib in unit.libraries}
    if unit.kind == "binary":
        if target.arch not in unit.files:
            raise BuildFailed(
                _(
                    "the manifest has no file of unit {name} for {arch}",
                    name=verbatim(repr(unit.name)),
                    arch=target.arch,
                ),
                argv=[],
                output="",
            )
        program = subject.path(unit.files[target.arch]).read_bytes()
    elif unit.kind == "c":
        program = builder.c(
            target,
            [subject.path(s) for s in unit.sources],
            flags=flags,
            libraries=unit.links,
            with_objects=libraries,
            salt=salt,
            within=subject.directory,
        )
    else:
        program = builder.go(
            target, subject.path(unit.sources[0]), cgo=unit.kind == "go-cgo", salt=salt, within=subject.directory
        )
    shipped = {name: data for name, data in libraries.items() if _ships(unit, name)}
    files = {f"{place}/{unit.name}": program} | {f"{place}/lib/{name}": data for name, data in shipped.items()}
    dirs = (f"{place}/lib",) if shipped else ()
    argv = (f"{place}/{unit.name}", *unit.args)
    return Built(unit, argv, files, {unit.name: program, **shipped}, frozenset(shipped), dirs)


def made_of(builder: Builder, built: Built) -> dict[str, Any]:
    """What was built and how, as evidence: digests of all files, and for what a compiler made here, what it was made of."""
    return {
        "kind": "build",
        "unit": built.unit.name,
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in built.files.items()},
        "made": {name: made.told() for name, data in built.objects.items() if (made := builder.made(data))},
    }


def _from_artifact(
    subject: Subject, unit: Unit, target: Target, platform: Platform | None, short: str | None, runner: Runner
) -> Built:
    """A program of an artifact, with all that comes with it. Objects beside the program are judged with the artifact."""
    place = f"{WORK_DIR}/{unit.name}"
    artifact = next(a for a in subject.file.artifacts if a.name == unit.artifact)
    name = artifact.file_for(platform, short) if platform is not None else artifact.files.get(target.arch.value)
    if name is None:
        wanted = platform.id if platform is not None else target.arch
        raise BuildFailed(
            _(
                "the artifact {artifact} is not delivered for {wanted}",
                artifact=verbatim(repr(unit.artifact)),
                wanted=wanted,
            ),
            argv=[],
            output="",
        )
    try:
        inside = extract(subject.path(name), target.architecture.names.get("oci", target.arch.value), runner)
    except XcError as error:
        raise BuildFailed(error.what, argv=[], output="") from error
    files = {f"{place}/{path}": data for path, data in inside.items()}
    libraries = frozenset(path.rpartition("/")[2] for path in inside if ".so" in path.rpartition("/")[2])
    dirs = sorted(
        {f"{place}/{path.rpartition('/')[0]}".rstrip("/") for path in inside if ".so" in path.rpartition("/")[2]}
    )
    if unit.command:
        return Built(unit, tuple(w.replace("{here}", place) for w in unit.command), files, {}, libraries, tuple(dirs))
    program = unit.program.lstrip("/")
    if program not in inside:
        raise BuildFailed(
            _("{program} is not in the artifact {name}", program=unit.program, name=name), argv=[], output=""
        )
    objects = {program: inside[program]} if inside[program][:4] == b"\x7fELF" else {}
    return Built(unit, (f"{place}/{program}", *unit.args), files, objects, libraries, tuple(dirs))


def _ships(unit: Unit, name: str) -> bool:
    return any(lib.name == name and lib.ship for lib in unit.libraries)


def _library(builder: Builder, subject: Subject, library: Library, target: Target, salt: str) -> bytes:
    if target.arch in library.files:
        return subject.path(library.files[target.arch]).read_bytes()
    sources = [subject.path(s) for s in library.sources]
    flags = [f"-Wl,-soname,{library.name}"]
    return builder.c(target, sources, flags=flags, shared=True, salt=salt, within=subject.directory)


def subject_objects(subject: Subject, rootfs: RootfsRef) -> dict[str, bytes]:
    """The files of the root filesystem that belong to the subject, each once however many links lead to it."""
    found: dict[str, bytes] = {}
    root = rootfs.path.resolve()
    for pattern in subject.file.rootfs_objects:
        for path in sorted(root.glob(pattern.lstrip("/"))):
            # By a link to a directory a pattern could lead into the host.
            if path.is_file() and not path.is_symlink() and path.parent.resolve().is_relative_to(root):
                found["/" + path.relative_to(root).as_posix()] = path.read_bytes()
    return found


def provided_libraries(rootfs: RootfsRef, architecture: Architecture) -> frozenset[str]:
    """File names of the shared libraries where the target's loader looks."""
    names: set[str] = set()
    for directory in library_dirs(rootfs, architecture):
        names.update(path.name for path in directory.iterdir() if ".so" in path.name)
    return frozenset(names)


def is_allowed(soname: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(soname, pattern) for pattern in patterns)
