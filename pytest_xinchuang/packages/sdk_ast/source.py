"""What OLD and NEW may be: a snapshot, a directory, a git revision, or MODULE@VERSION of the module proxy."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_xinchuang.core.errors import ToolchainFault, XcError
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.packages.sdk_ast.golang.extractor import GoRequest, classes, snapshot_of
from pytest_xinchuang.packages.sdk_ast.golang.syntax import extract_syntax
from pytest_xinchuang.packages.sdk_ast.languages import LANGUAGES
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.packages.sdk_ast.words import listed
from pytest_xinchuang.provision.archive import unpack
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.goproblems import GoProblemCode
from pytest_xinchuang.tools.go import GoCommand, GoRun, read_failure
from pytest_xinchuang.tools.gomod import ModuleVersion
from pytest_xinchuang.tools.process import Finished, Runner, last_line

TIMEOUT_S = 600
_MODULE = re.compile(r"(?P<path>[A-Za-z0-9][A-Za-z0-9._~/-]*\.[A-Za-z0-9._~/-]+)@(?P<version>[A-Za-z0-9.+_-]+)")


@dataclass(frozen=True)
class ReadOptions:
    """How modules are read.

    Attributes:
        targets: what is read for; none: for Go every target whose files differ, and linux/amd64 elsewhere.
        offline: fetch nothing.
        fetch_requirements: fetch the modules that declarations refer to; without them stubs stand for these.
        language: one of `languages.LANGUAGES`; empty: by what the directory holds.
        c_flags: more arguments for the C compiler (-D, -I).
        sql_dialect: of SQL, or a database that speaks it; empty: by what the files say.
    """

    targets: Sequence[str] = ("linux/amd64",)
    tags: Sequence[str] = ()
    cgo: bool = True
    offline: bool = False
    fetch_requirements: bool = True
    language: str = ""
    c_flags: Sequence[str] = ()
    sql_dialect: str = ""


FILES = {
    ".jar": "java", ".whl": "python", ".h": "c", ".hpp": "cpp", ".hh": "cpp", ".hxx": "cpp", ".tgz": "typescript",
    ".proto": "protobuf", ".yaml": "openapi", ".yml": "openapi", ".sql": "sql", ".crate": "rust",
}  # fmt: skip
"""Files that are an API by themselves, and its language."""


def language_of(directory: Path) -> str:
    """What a directory's API is written in, by what stands in it; Go where that says nothing."""
    if (directory / "go.mod").is_file() or (directory / "go.work").is_file():
        return "go"
    if (directory / "Cargo.toml").is_file() and not (directory / "pyproject.toml").is_file():
        return "rust"
    if (directory / "package.json").is_file() and not (directory / "pyproject.toml").is_file():
        return "typescript"
    order = (
        (".go", "go"), (".jar", "java"), (".class", "java"), (".py", "python"), (".h", "c"), (".hpp", "cpp"),
        (".hh", "cpp"), (".hxx", "cpp"),
        (".ts", "typescript"),
    )  # fmt: skip
    seen = {path.suffix for path in directory.rglob("*") if path.suffix in dict(order)}
    found = next((language for suffix, language in order if suffix in seen), "")
    if found in ("c", "cpp"):
        from pytest_xinchuang.packages.sdk_ast.cpp.reader import only_in_cpp

        return "cpp" if only_in_cpp(directory) else "c"
    if found:
        return found
    if next(directory.rglob("*.proto"), None):
        return "protobuf"
    from pytest_xinchuang.packages.sdk_ast.openapi.documents import documents

    if documents(directory):
        return "openapi"
    return "sql" if next(directory.rglob("*.sql"), None) else "go"


def _language_of_file(path: Path, asked: str) -> str:
    """What a file that is an API by itself is written in; empty: it is a snapshot."""
    if path.suffix == ".json":
        from pytest_xinchuang.packages.sdk_ast.openapi.documents import is_document

        return "openapi" if asked == "openapi" or is_document(path) else ""
    return FILES.get(path.suffix, "")


def _root(directory: Path) -> tuple[Path, str]:
    """The directory of the module that a directory is in, or of a workspace without a module; and what is read below it."""
    if not (directory / "go.mod").is_file() and (directory / "go.work").is_file():
        return directory, ""
    root = next((d for d in (directory, *directory.parents) if (d / "go.mod").is_file()), directory)
    return root, "" if root == directory else directory.relative_to(root).as_posix()


@dataclass(frozen=True)
class _Place:
    """Where an API stands, and what its name says of it."""

    directory: Path
    version: str = ""
    path: str = ""


class Sources:
    """Finds and reads APIs; everything that it makes is gone when it is closed."""

    def __init__(
        self, cache: Cache, options: ReadOptions, repository: Path | None = None, runner: Runner | None = None
    ) -> None:
        self.cache, self.options = cache, options
        self.runner = runner or Runner()
        self.repository = repository or Path.cwd()
        self._count = 0
        self._places: dict[str, _Place] = {}
        self.fallback: Message = NOTHING
        """Why only the syntax of Go was read; empty where its types were."""
        # Snapshots may have hundreds of megabytes: they stand in the cache, under a lock while they are in use.
        self._held = ExitStack()
        self._scratch = self._held.enter_context(cache.scratch("api"))

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was made."""
        self._held.close()

    def _new(self, name: str) -> Path:
        self._count += 1
        return self._scratch / f"{self._count}-{name}"

    def read(self, text: str, known: Snapshot | None = None) -> Snapshot:
        """The API behind a command line argument.

        Args:
            known: a snapshot that unchanged packages are taken from.

        Raises:
            XcError: it is none of the kinds, or cannot be read.
        """
        path = Path(text)
        self._agree(text)
        if path.is_file() and (language := _language_of_file(path, self.options.language)):
            return self._other(language, path, text)
        if path.is_file():
            return Snapshot(path)
        place = self._find(text)
        return self.directory(place.directory, text, version=place.version, path=place.path, known=known)

    def pair(self, old: str, new: str) -> tuple[Snapshot, Snapshot]:
        """Two APIs, read for the same targets.

        Raises: as :meth:`read`.
        """
        self._agree(old, new)
        before = self.read(old)
        return before, self.read(new, known=before)

    def _find(self, text: str) -> _Place:
        if text not in self._places:
            self._places[text] = self._found(text)
        return self._places[text]

    def _found(self, text: str) -> _Place:
        if (path := Path(text)).is_dir():
            return _Place(path)
        if match := _MODULE.fullmatch(text):
            directory, version = self.download(match["path"], match["version"])
            return _Place(directory, version, match["path"])
        if self._is_revision(text):
            return self._revision(text)
        raise XcError(
            _(
                "{text} is neither a snapshot nor a directory, MODULE@VERSION or git revision",
                text=verbatim(repr(text)),
            ),
            mend=_("xc api diff v1.2.0 . (in a git repository), or xc api diff OLD_DIR NEW_DIR"),
        )

    def _agree(self, *texts: str) -> None:
        """Settle what is read for, where nobody says it: what a snapshot was, else each target that differs from others."""
        if not self.options.targets:
            self.options = replace(self.options, targets=self._agreed(texts))

    def _agreed(self, texts: Sequence[str]) -> tuple[str, ...]:
        usual = ReadOptions().targets
        kept = [Snapshot(Path(text)) for text in texts if Path(text).is_file() and Path(text).suffix not in FILES]
        if kept:
            return kept[0].header.targets
        places = [self._find(text) for text in texts if not Path(text).is_file()]
        if any((self.options.language or language_of(place.directory)) != "go" for place in places):
            return tuple(usual)
        try:
            found = [self._classes(place) for place in places]
        except ToolchainFault:
            return tuple(usual)
        first: dict[tuple[str, ...], str] = {}
        for target in dict.fromkeys(target for one in found for target in one):
            # A tag that one side alone knows leaves the other as it is without it.
            plain = target.partition("+")[0]
            first.setdefault(tuple(one.get(target, one[plain]) for one in found), target)
        return tuple(first.values()) or tuple(usual)

    def _classes(self, place: _Place) -> dict[str, str]:
        root, below = _root(place.directory.resolve())
        request = GoRequest(root, below, path=place.path, tags=tuple(self.options.tags), cgo=self.options.cgo)
        return classes(self.cache, request, self._new("targets.jsonl"), self.runner)

    def directory(
        self, directory: Path, label: str, *, version: str = "", path: str = "", known: Snapshot | None = None
    ) -> Snapshot:
        """The API of the Go module that a directory is in."""
        directory = directory.resolve()
        if (language := self.options.language or language_of(directory)) != "go":
            return self._other(language, directory, label, version)
        root, below = _root(directory)
        if root == directory and not (root / "go.mod").is_file() and not any(directory.rglob("*.go")):
            raise XcError(
                _("{label}: there is no Go file in it", label=label),
                mend=_("name the directory of a module, with its go.mod"),
            )
        request = GoRequest(
            root, below, version, path, tuple(self.options.targets), tuple(self.options.tags), self.options.cgo
        )
        try:
            found = snapshot_of(self.cache, request, self._new("api.jsonl"), label, known, self.runner)
        except ToolchainFault as fault:
            output = self._new("api.jsonl")
            extract_syntax(request, output)
            self.fallback = fault.what
            return self._placed(Snapshot(output, label, ours=True), root)
        missing = self._missing(found) if self.options.fetch_requirements and not self.options.offline else ()
        if missing and self._fetch(missing):
            found = snapshot_of(self.cache, request, self._new("api.jsonl"), label, known, self.runner)
        return self._placed(found, root)

    @staticmethod
    def _placed(snapshot: Snapshot, place: Path) -> Snapshot:
        snapshot.place = place
        return snapshot

    def _other(self, language: str, place: Path, label: str, version: str = "") -> Snapshot:
        output = self._new("api.jsonl")
        if language == "c":
            from pytest_xinchuang.packages.sdk_ast.c.reader import extract_c

            extract_c(place, self.options.targets, output, version=version, flags=self.options.c_flags)
        elif language == "cpp":
            from pytest_xinchuang.packages.sdk_ast.cpp.reader import extract_cpp

            extract_cpp(place, self.options.targets, output, version=version, flags=self.options.c_flags)
        elif language == "java":
            from pytest_xinchuang.packages.sdk_ast.java.reader import extract_java

            extract_java(place, output, version=version)
        elif language == "python":
            from pytest_xinchuang.packages.sdk_ast.python.reader import extract_python

            extract_python(place, output, version=version)
        elif language == "typescript":
            from pytest_xinchuang.packages.sdk_ast.typescript.reader import extract_typescript
            from pytest_xinchuang.packages.sdk_ast.typescript.tool import find_compiler

            compiler = find_compiler(self.cache, place, offline=self.options.offline, runner=self.runner)
            extract_typescript(place, output, compiler, version=version)
        elif language == "rust":
            from pytest_xinchuang.packages.sdk_ast.rust.reader import extract_rust

            offline = self.options.offline
            extract_rust(place, self.options.targets, output, version=version, offline=offline, runner=self.runner)
        elif language == "protobuf":
            from pytest_xinchuang.packages.sdk_ast.protobuf.reader import extract_protobuf

            extract_protobuf(place, output, version=version, runner=self.runner)
        elif language == "openapi":
            from pytest_xinchuang.packages.sdk_ast.openapi.reader import extract_openapi

            extract_openapi(place, output, version=version)
        elif language == "sql":
            from pytest_xinchuang.packages.sdk_ast.sql.reader import extract_sql

            extract_sql(place, output, version=version, dialect=self.options.sql_dialect)
        else:
            raise XcError(
                _("APIs cannot be read in the language {language}", language=verbatim(repr(language))),
                mend=_("--kind with one of {names}", names=listed(LANGUAGES)),
            )
        return self._placed(Snapshot(output, label, ours=True), place)

    @staticmethod
    def _missing(snapshot: Snapshot) -> tuple[str, ...]:
        """MODULE@VERSION of what declarations refer to and the module cache lacks."""
        missing = (p for p in snapshot.problems if p.code == GoProblemCode.MODULE_NOT_HERE)
        return tuple(sorted({str(p.params["module"]) for p in missing if "module" in p.params}))

    def _fetch(self, modules: Sequence[str]) -> bool:
        """Fetch modules through GOPROXY; whether any came. What does not come is told by the reader as missing."""
        with self.scratch() as cwd:
            came = [self._go(["mod", "download", module], cwd).code == 0 for module in modules]
        return any(came)

    def _go(self, words: Sequence[str], cwd: Path) -> GoRun:
        """Run the go command, with GOPROXY as it is set unless nothing may be fetched.

        Raises:
            ToolchainFault: there is none, or it did not end.
        """
        return GoCommand(self.runner, self.options.offline).run(words, cwd, mod="mod", timeout_s=TIMEOUT_S)

    def download(self, path: str, version: str) -> tuple[Path, str]:
        """The directory of a module in the module cache, and its exact version.

        Raises:
            XcError: the proxy does not have it.
            HostFault: it could not be asked.
        """
        with self.scratch() as cwd:
            run = self._go(["mod", "download", "-json", f"{path}@{version}"], cwd)
        try:
            said = json.loads(run.finished.text)
        except ValueError:
            said = {}
        if run.code or "Dir" not in said:
            failure = read_failure(said.get("Error") or run.finished.errors)
            error = failure.error(_("{module} cannot be had", module=str(ModuleVersion(path, version))))
            error.mend = error.mend or _("go env GOPROXY; or name a directory instead")
            raise error
        return Path(said["Dir"]), str(said["Version"])

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory that is in no module, and gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self._scratch) as name:
            yield Path(name)

    # -- git

    def _git(self, *words: str) -> Finished:
        """Raises HostFault: git is not there, or does not end."""
        return self.runner.run(["git", "-C", str(self.repository), *words], timeout_s=TIMEOUT_S).exited()

    def _is_revision(self, text: str) -> bool:
        if text.startswith("-"):
            return False
        return self._git("rev-parse", "--verify", "--quiet", f"{text}^{{commit}}").ok

    def _revision(self, text: str) -> _Place:
        """The tree of a commit; the index and the working tree are left alone."""
        prefix = self._git("rev-parse", "--show-prefix").text.strip()
        top = self._git("rev-parse", "--show-toplevel").text.strip()
        tree = self._new("tree")
        tree.mkdir()
        archive = self._new("tree.tar")
        with archive.open("wb") as file:
            done = self.runner.run(
                ["git", "-C", top, "archive", "--format=tar", text], timeout_s=TIMEOUT_S, stdout=file
            ).exited()
        if not done.ok:
            raise XcError(_("git archive of {revision} failed: {why}", revision=text, why=last_line(done.errors)))
        unpack(archive, tree)
        archive.unlink()
        return _Place(tree / prefix, text if re.match(r"v\d", text) else "")
