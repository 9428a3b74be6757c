"""Subjects: the thing being graded, as its manifest ``xinchuang.yaml`` describes it."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, create_model, model_validator

from pytest_xinchuang.core import inputs
from pytest_xinchuang.core.data import FrozenData, GlobPattern
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.core.requirement import RequirementId
from pytest_xinchuang.core.yamlfile import KeyPath, YamlFile
from pytest_xinchuang.messages import Message, _, joined, system_error, verbatim

MANIFEST = "xinchuang.yaml"

UnitName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
LibraryName = Annotated[str, StringConstraints(pattern=r"^lib[A-Za-z0-9_.+-]+\.so[0-9.]*$")]
LinkName = Annotated[str, StringConstraints(pattern=r"^:?[A-Za-z0-9_.+-]+$")]
PackageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]+$")]
Given = TypeVar("Given", bound=BaseModel)
Behaviour = Literal["children", "threads", "tls", "signals", "dlopen"]


def _can_be_given(word: str) -> str:
    if "\0" in word:
        raise ValueError(_("a word with a NUL in it, which no program can be given"))
    return word


Word = Annotated[str, AfterValidator(_can_be_given)]
"""A word of a command line (execve(2))."""


class Expectation(FrozenData):
    """What a unit must do, known beforehand.

    Attributes:
        source: where the expected output is from: a standard and clause.
    """

    exit: int = Field(default=0, ge=0, le=255)
    stdout: str | None = None
    source: str = ""

    @model_validator(mode="after")
    def _sourced(self) -> Expectation:
        if self.stdout is not None and not self.source:
            raise ValueError(_("an expected stdout needs its source: a standard and clause, or how it was found"))
        return self


class Library(FrozenData):
    """A shared library of the subject's own."""

    name: LibraryName
    sources: tuple[str, ...] = ()
    files: dict[Arch, str] = Field(default_factory=dict)
    ship: bool = Field(default=True, description="false: link with it, but leave it out of what is delivered")


class Artifact(FrozenData):
    """Something that is delivered: a file, a package, an archive, an image or a directory, for each target.

    Attributes:
        files: platform id, short name or architecture -> path beside the manifest; the first of these that is there counts.
    """

    name: UnitName
    files: dict[str, str] = Field(min_length=1)

    def file_for(self, platform: Platform, short: str | None) -> str | None:
        """The path for a platform, or None where nothing is delivered for it."""
        keys = (platform.id, short, platform.cpu_name, platform.os_name, platform.arch.value)
        return next((self.files[key] for key in keys if key is not None and key in self.files), None)


class Unit(FrozenData):
    """A minimum runnable unit: one program that starts, does one thing and ends.

    Attributes:
        kind: ``c`` and ``go`` are built from source; ``shell`` is a script; ``binary`` is prebuilt for each architecture;
            ``rootfs`` is a program of the target's root filesystem; ``artifact`` is one of an artifact; ``installer`` is a
            script that chooses and fetches files: what it asks for is recorded, and nothing is fetched.
        command: for an artifact, the whole command instead of ``program``; ``{here}`` is where the artifact was unpacked.
        links: libraries of the target's root filesystem to link with, without ``lib`` and ``.so``.
        behaviour: the L3 behaviour that this unit is there to show; a unit without one shows L1 and L2.
        limit_s: seconds on the target's real hardware within which the unit must end (times the time-out scale).
        start_budget_ms: milliseconds from start to end that the unit may take on the target's real hardware.
    """

    name: UnitName
    kind: Literal["c", "go", "go-cgo", "shell", "binary", "rootfs", "artifact", "installer"]
    sources: tuple[str, ...] = ()
    files: dict[Arch, str] = Field(default_factory=dict)
    program: Word = ""
    artifact: str = ""
    command: tuple[Word, ...] = ()
    args: tuple[Word, ...] = ()
    stdin: str = ""
    links: tuple[LinkName, ...] = ()
    libraries: tuple[Library, ...] = ()
    c_flags: dict[Arch, tuple[Word, ...]] = Field(default_factory=dict)
    libc_version: str | None = Field(default=None, pattern=r"^[0-9]+\.[0-9]+$")
    behaviour: Behaviour | None = None
    expect: Expectation = Expectation()
    limit_s: float = Field(default=20.0, gt=0, le=3600)
    start_budget_ms: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Unit:
        if self.kind in ("c", "go", "go-cgo", "shell", "installer") and not self.sources:
            raise ValueError(_("a unit of kind {kind} needs 'sources'", kind=verbatim(repr(self.kind))))
        if self.kind == "binary" and not self.files:
            raise ValueError(_("a unit of kind 'binary' needs 'files': one for each architecture"))
        if self.kind == "rootfs" and not self.program.startswith("/"):
            raise ValueError(_("a unit of kind 'rootfs' needs 'program': an absolute path in the target"))
        if self.kind == "artifact" and not (self.artifact and (self.program or self.command)):
            raise ValueError(
                _("a unit of kind 'artifact' needs 'artifact' and 'program': a path inside of it, or 'command'")
            )
        if self.command and not any("{here}" in word for word in self.command):
            raise ValueError(_("the 'command' uses nothing of its artifact: '{{here}}' stands in none of its words"))
        return self


class NotApplicable(FrozenData):
    """A behaviour that the subject says it does not have; believed only where its objects bear it out."""

    requirement: RequirementId
    reason: str = Field(min_length=10)


@dataclass(frozen=True)
class Section(Generic[Given]):
    """A section of the manifest that belongs to a conformance package.

    Attributes:
        key: its name in ``xinchuang.yaml``.
        model: what may stand in it.
        description: for the JSON Schema of manifests.
        programs: the units that it names, to be built or started.
        files: the other files and directories beside the manifest that it names.
    """

    key: str
    model: type[Given]
    description: str
    programs: Callable[[Given], tuple[Unit, ...]] = lambda _: ()
    files: Callable[[Given], Iterable[str]] = lambda _: ()


class SubjectFile(FrozenData):
    """The manifest."""

    format: Literal["xc-subject/1"] = Field(alias="schema")
    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    units: tuple[Unit, ...] = ()
    artifacts: tuple[Artifact, ...] = Field(
        default=(), description="what is delivered: inspected, and run by units of kind artifact"
    )
    source_trees: tuple[str, ...] = Field(
        default=(),
        description="directories with the product's source: compilers and build tools say what stops its port",
    )
    rootfs_packages: tuple[PackageName, ...] = Field(
        default=(),
        description="packages that the stand-in root filesystem gets besides its own: an interpreter or a run time",
    )
    build_flags: tuple[Word, ...] = Field(
        default=(),
        description="flags of the product's own build, checked against the platform's libc, compilers and CPU",
    )
    rootfs_objects: tuple[GlobPattern, ...] = Field(
        default=(), description="files of the target's root filesystem that belong to the subject (globs)"
    )
    allowed_libraries: tuple[GlobPattern, ...] = Field(
        default=(), description="needed libraries beyond libc's that the subject may use (globs on the soname)"
    )
    not_applicable: tuple[NotApplicable, ...] = ()
    sections: ClassVar[tuple[Section[Any], ...]] = ()

    @property
    def programs(self) -> tuple[Unit, ...]:
        """Everything that is built or started: the units, and what sections name."""
        own = (section.programs(value) for section, value in self.given)
        return (*self.units, *(unit for units in own for unit in units))

    @property
    def given(self) -> tuple[tuple[Section[Any], Any], ...]:
        """The sections that the manifest has, with what it says in each."""
        every = ((section, getattr(self, section.key)) for section in self.sections)
        return tuple((section, value) for section, value in every if value is not None)

    @model_validator(mode="after")
    def _has_something(self) -> SubjectFile:
        if not (self.units or self.artifacts or self.source_trees or self.given):
            wanted = ["units", "artifacts", "source_trees", *(section.key for section in self.sections)]
            first = joined([verbatim(f"'{key}'") for key in wanted[:-1]], _(", "))
            raise ValueError(
                _("there is nothing to look at: give {first} or '{last}'", first=first, last=verbatim(wanted[-1]))
            )
        names = [artifact.name for artifact in self.artifacts]
        for unit in self.programs:
            if unit.artifact and unit.artifact not in names:
                raise ValueError(
                    _(
                        "unit {unit} is of the artifact {artifact}, which is not among {names}",
                        unit=verbatim(repr(unit.name)),
                        artifact=verbatim(repr(unit.artifact)),
                        names=verbatim(str(names)),
                    )
                )
        return self

    @model_validator(mode="after")
    def _objects_are_in_the_target(self) -> SubjectFile:
        for pattern in self.rootfs_objects:
            if ".." in pattern.split("/"):
                raise ValueError(
                    _("'rootfs_objects' has {pattern}, which leads out of the target", pattern=verbatim(repr(pattern)))
                )
        return self

    @model_validator(mode="after")
    def _unit_names_differ(self) -> SubjectFile:
        names = [unit.name for unit in self.programs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(_("two units are called {name}", name=verbatim(repr(twice[0]))))
        return self


def subject_model(sections: Iterable[Section[Any]]) -> type[SubjectFile]:
    """The manifest with the sections of these packages.

    Raises:
        ValueError: two sections have one name, or one has the name of a key of the manifest's own.
    """
    chosen = tuple(sections)
    keys = [section.key for section in chosen]
    taken = [key for key in keys if keys.count(key) > 1 or key in SubjectFile.model_fields]
    if taken:
        raise ValueError(_("two sections of the manifest are called {name}", name=verbatim(repr(taken[0]))))
    fields: dict[str, Any] = {
        section.key: (section.model | None, Field(default=None, description=section.description)) for section in chosen
    }
    model = create_model("SubjectFile", __base__=SubjectFile, __doc__=SubjectFile.__doc__, **fields)
    model.sections = chosen
    return model


@dataclass(frozen=True)
class NamedFile:
    """A file or directory that a manifest names.

    Attributes:
        where: the place in the manifest, for errors.
        name: relative to the manifest's directory.
    """

    where: KeyPath
    name: str


def named_files(file: SubjectFile) -> list[NamedFile]:
    """The one list of what a subject is made of: it is checked to be there, digested, and nothing else is read.

    In the order of the manifest; a file that is named twice stands there twice.
    """
    found: list[NamedFile] = []
    for index, unit in enumerate(file.units):
        found += [NamedFile(("units", index), name) for name in files_of(unit)]
    for index, artifact in enumerate(file.artifacts):
        found += [NamedFile(("artifacts", index), name) for name in artifact.files.values()]
    found += [NamedFile(("source_trees", index), name) for index, name in enumerate(file.source_trees)]
    for section, value in file.given:
        names = [name for unit in section.programs(value) for name in files_of(unit)]
        found += [NamedFile((section.key,), name) for name in (*names, *section.files(value))]
    return found


def files_of(unit: Unit) -> list[str]:
    """Every file of the manifest's directory that a unit names."""
    names = [*unit.sources, *unit.files.values()]
    for library in unit.libraries:
        names += [*library.sources, *library.files.values()]
    return names


def _why(error: Exception) -> Message:
    """Why a name leads nowhere."""
    match error:
        case OSError():
            return system_error(error)
        case RuntimeError():
            return system_error(errno.ELOOP)
    return _("no name of a file: it has a character that none can have")


class Subject:
    """A manifest with the directory that it stands in.

    Args:
        path: the manifest or its directory.
        sections: those that the conformance packages at hand have.
        unseen: files that are no part of the subject wherever they stand: the reports of the run itself.

    Raises:
        DataFileError: the manifest is malformed or names a file that is missing or outside its directory.
    """

    def __init__(self, path: Path, sections: Iterable[Section[Any]], unseen: Iterable[Path] = ()) -> None:
        self.manifest = path / MANIFEST if path.is_dir() else path
        if not self.manifest.is_file():
            raise DataFileError(
                _("{manifest}: no such manifest", manifest=self.manifest),
                mend=verbatim(f"xc subject init {self.manifest.parent}"),
            )
        source = YamlFile(self.manifest)
        self.file = source.parse(subject_model(sections))
        self.directory = self.manifest.parent.resolve()
        self._unseen = frozenset(unseen)
        for named in named_files(self.file):
            self._check(source, named)

    def _check(self, source: YamlFile, named: NamedFile) -> None:
        try:
            target = (self.directory / named.name).resolve()
            target.is_dir()
        except (OSError, ValueError, RuntimeError) as error:
            # A name that no file can have: too long, with a NUL, or of links in a circle.
            shown = verbatim(repr(named.name[:80]))
            raise source.error(named.where, _("{name}: {why}", name=shown, why=_why(error))) from error
        if not target.is_relative_to(self.directory):
            raise source.error(
                named.where, _("{name} is outside the manifest's directory", name=verbatim(repr(named.name)))
            )
        if not target.exists():
            raise source.error(
                named.where,
                _(
                    "{name}: no such file in {directory}",
                    name=verbatim(repr(named.name)),
                    directory=verbatim(str(self.directory)),
                ),
            )
        if target.is_dir():
            for place in self._beside(target):
                if not place.is_relative_to(self.directory):
                    where = self.directory
                    raise source.error(
                        named.where,
                        _(
                            "the Go module {name} is built with {place}, which is outside of {where}",
                            name=verbatim(named.name),
                            place=verbatim(str(place)),
                            where=verbatim(str(where)),
                        ),
                        mend=_("put {manifest} into a directory that holds both", manifest=verbatim(MANIFEST)),
                    )

    @staticmethod
    def _beside(directory: Path) -> list[Path]:
        """The directories that a Go module, or a part of one, is built with; its own root first."""
        root = inputs.go_root(directory)
        if root is None or not (root == directory or any(directory.glob("*.go"))):
            return inputs.go_directories(directory)
        return [root, *inputs.go_directories(root)]

    def section(self, model: type[Given]) -> Given | None:
        """What the manifest says in the section of this model; None where it has none."""
        return next((value for section, value in self.file.given if section.model is model), None)

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def version(self) -> str:
        return self.file.version

    def path(self, name: str) -> Path:
        return self.directory / name

    def sources_of(self, unit: Unit) -> list[tuple[list[Path], tuple[str, ...]]]:
        """The C sources that are compiled together for a unit, with all flags that they may be compiled with."""
        found = []
        if unit.kind == "c":
            flags = tuple(flag for of_arch in unit.c_flags.values() for flag in of_arch)
            found.append(([self.path(name) for name in unit.sources], flags))
        return found + [([self.path(name) for name in library.sources], ()) for library in unit.libraries]

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Every file that can change a verdict, sorted: what the manifest names, below it, and what that includes.

        Builds are given these files and no others.

        Raises:
            DataFileError: one cannot be read.
        """
        try:
            return tuple(sorted(self._files()))
        except OSError as error:
            raise DataFileError(
                _(
                    "{path} cannot be read: {why}",
                    path=verbatim(str(error.filename)),
                    why=system_error(error),
                )
            ) from error

    def _files(self) -> set[Path]:
        found = {self.directory / self.manifest.name}
        for named in named_files(self.file):
            place = self.path(named.name)
            walked = inputs.walk(place, self._unseen, self.directory)
            below = {path for path in walked if not inputs.leaves(path, self.directory)}
            found |= below
            if place.is_dir():
                found.update(inputs.included([p for p in below if p.suffix in inputs.SOURCES], (), self.directory))
                for module in self._beside(place.resolve()):
                    found.update(inputs.of_go(module, self.directory, self._unseen))
        for unit in self.file.programs:
            for sources, flags in self.sources_of(unit):
                if sources:
                    dirs = inputs.include_dirs(flags, sources[0].parent, self.directory)
                    forced = inputs.forced_includes(flags, sources[0].parent, self.directory)
                    found.update(inputs.included([*sources, *forced], dirs, self.directory))
                    linked = inputs.linked([*flags, *(f"-l{n}" for n in unit.links)], sources[0].parent, self.directory)
                    found.update(path for path in linked if not inputs.leaves(path, self.directory))
        return found

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the names and contents of all its files: no byte that can change a verdict is left out."""
        total = hashlib.sha256()
        for path in self.files:
            total.update(f"\n{path.relative_to(self.directory).as_posix()}\n".encode("utf-8", "surrogateescape"))
            try:
                with path.open("rb") as file:
                    total.update(hashlib.file_digest(file, "sha256").digest())
            except OSError as error:
                raise DataFileError(
                    _("{path} cannot be read: {why}", path=verbatim(str(path)), why=system_error(error))
                ) from error
        return "sha256:" + total.hexdigest()
