"""Compiles .proto files to descriptors with protoc, and finds the directories that their imports begin at."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.core.errors import DataFileError, ToolchainFault, XcError
from pytest_xinchuang.core.installing import install_extra
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.problems import SYNTAX_ERROR, problem_record
from pytest_xinchuang.tools.process import Runner, last_line

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool

TIMEOUT_S = 120
_MISSING = re.compile(r"^([^\s:]+\.proto): File not found\.", re.MULTILINE)
_COMPLAINT = re.compile(r"^(?P<file>[^\s:]+\.proto):(?:(?P<line>\d+):\d+:)? ?(?P<what>.+)$", re.MULTILINE)


@dataclass
class Schema:
    """What protoc made of the .proto files of a directory.

    Attributes:
        files: their descriptors and those of what they import, each behind its own imports.
        own: names of the files that the directory holds.
        problems: what did not compile, as snapshots hold it.
    """

    files: list[FileDescriptorProto]
    own: frozenset[str]
    problems: list[dict[str, Any]] = field(default_factory=list)
    toolchain: str = ""

    @cached_property
    def pool(self) -> DescriptorPool:
        """A pool of its own: two versions have messages of one name.

        Raises:
            XcError: the runtime refuses what the compiler took.
        """
        with optional("sdk_ast"):
            from google.protobuf.descriptor_pool import DescriptorPool

        pool = DescriptorPool()
        for file in self.files:
            try:
                pool.AddSerializedFile(file.SerializeToString())
                pool.FindFileByName(file.name)
            except (TypeError, KeyError, ValueError) as error:
                raise ToolchainFault(
                    _("the protobuf runtime cannot load {file}: {why}", file=verbatim(file.name), why=error),
                    mend=install_extra("sdk_ast", ["google", "grpc_tools"]),
                ) from error
        return pool


def compile_schema(place: Path, runner: Runner) -> Schema:
    """Compile every .proto file of a directory, or one file.

    A file that does not compile is a problem, and the others are read without it.

    Raises:
        XcError: there is no such file.
        HostFault: there is no protoc, or no protobuf for Python.
    """
    with optional("sdk_ast"):
        from google.protobuf.descriptor_pb2 import FileDescriptorSet
        from google.protobuf.message import DecodeError

    root = place if place.is_dir() else place.parent
    found = sorted(place.rglob("*.proto")) if place.is_dir() else [place]
    if not found:
        raise XcError(_("{place}: there is no .proto file in it", place=place))
    compiler = _Compiler(root, runner)
    data, names, problems = compiler.compile(found)
    descriptors = FileDescriptorSet()
    for one in data:
        try:
            made = FileDescriptorSet.FromString(one)
        except DecodeError as error:
            raise ToolchainFault(_("what protoc wrote cannot be read: {why}", why=error)) from error
        known = {file.name for file in descriptors.file}
        descriptors.file.extend(file for file in made.file if file.name not in known)
    return Schema(list(descriptors.file), frozenset(names), problems, compiler.version)


class _Compiler:
    def __init__(self, root: Path, runner: Runner) -> None:
        self.root, self.runner = root.resolve(), runner
        self.command = _command()
        self.roots = [*_buf_roots(self.root), self.root]

    @cached_property
    def version(self) -> str:
        if self.command[0] == sys.executable:
            return f"protoc of grpcio-tools {metadata.version('grpcio-tools')}"
        return last_line(self.runner.run([*self.command, "--version"], timeout_s=TIMEOUT_S).text)

    def name_of(self, file: Path) -> str:
        """What imports call a file: its path below the innermost directory that imports begin at."""
        inside = [root for root in self.roots if file.resolve().is_relative_to(root)]
        return file.resolve().relative_to(max(inside, key=lambda root: len(root.parts))).as_posix()

    def compile(self, found: Sequence[Path]) -> tuple[list[bytes], list[str], list[dict[str, Any]]]:
        while True:
            names = [self.name_of(file) for file in found]
            data, said = self._run(names)
            if data is not None:
                return [data], names, []
            if not self._new_root(found, said):
                break
        whole, problems, good = [], [], []
        for name in names:
            data, said = self._run([name])
            if data is not None:
                whole.append(data)
                good.append(name)
            else:
                problems.append(_problem(name, said))
        return whole, good, problems

    def _new_root(self, found: Sequence[Path], said: str) -> bool:
        """Whether an import that was not found begins at a directory that nobody named."""
        for missing in _MISSING.findall(said):
            for file in found:
                place = file.resolve().as_posix()
                if place.endswith("/" + missing):
                    root = Path(place.removesuffix("/" + missing))
                    if root.is_relative_to(self.root) and root not in self.roots:
                        self.roots.insert(0, root)
                        return True
        return False

    def _run(self, names: Sequence[str]) -> tuple[bytes | None, str]:
        roots = sorted(self.roots, key=lambda root: -len(root.parts))
        with tempfile.TemporaryDirectory() as directory:
            output = Path(directory) / "schema.binpb"
            argv = [*self.command, *(f"-I{root}" for root in (*roots, *_beside()))]
            argv += ["--include_imports", "--include_source_info", f"--descriptor_set_out={output}", *names]
            done = self.runner.run(argv, timeout_s=TIMEOUT_S)
            if done.code is None:
                raise ToolchainFault(_("protoc did not end as it should: {why}", why=done.told()))
            if done.ok and output.is_file():
                return output.read_bytes(), ""
            if "No module named" in done.errors:
                raise ToolchainFault(
                    _("protoc cannot be started: {why}", why=verbatim(last_line(done.errors))),
                    mend=install_extra("sdk_ast", ["grpc_tools"]),
                )
            return None, done.errors


def _command() -> list[str]:
    """
    Raises:
        ToolchainFault: there is none.
    """
    if importlib.util.find_spec("grpc_tools") is not None:
        return [sys.executable, "-m", "grpc_tools.protoc"]
    if protoc := shutil.which("protoc"):
        return [protoc]
    raise ToolchainFault(
        _("there is no protoc: .proto files are read by their own compiler, and by nothing else"),
        mend=install_extra("sdk_ast", ["grpc_tools"]),
    )


def _beside() -> Iterator[Path]:
    """Directories of .proto files that Python packages bring (google/api of googleapis-common-protos)."""
    try:
        spec = importlib.util.find_spec("google.api")
    except ModuleNotFoundError:
        return
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(place).parent.parent


def _buf_roots(root: Path) -> list[Path]:
    """Where imports begin, as buf.yaml says it (v1: beside the file; v2: ``modules``)."""
    found = []
    for file in sorted((*root.rglob("buf.yaml"), *root.rglob("buf.yml"))):
        try:
            modules = YamlFile(file).data.get("modules") or [{}]
        except DataFileError:
            continue  # it says where imports begin, which protoc's complaints say too
        paths = (
            [str(one.get("path", ".")) for one in modules if isinstance(one, dict)] if isinstance(modules, list) else []
        )
        found += [place for path in paths if (place := (file.parent / path).resolve()).is_relative_to(root)]
    return [place for place in dict.fromkeys(found) if place.is_dir()]


def _problem(name: str, said: str) -> dict[str, Any]:
    first = _COMPLAINT.search(said)
    if first is None:
        return problem_record(name, None, SYNTAX_ERROR, why=verbatim(last_line(said)))
    line = int(first["line"]) if first["line"] else None
    return problem_record(first["file"], line, SYNTAX_ERROR, why=verbatim(first["what"].strip()))
