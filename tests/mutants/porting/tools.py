"""What the planted examples are made with: a compiler for each target, and small packages."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.toolchain.builder import Builder, Target
from tests.inspect import containers

HEAD = 'schema: xc-subject/1\nname: planted\nversion: "0"\n'
NEWEST = {Arch.AMD64: "2.28", Arch.ARM64: "2.28", Arch.LOONG64: "2.36"}


@dataclass(frozen=True)
class Planted:
    """An example: what is looked at, where, and which code has to name it when it is bad.

    Attributes:
        certainty: how sure the finding has to be; empty: any but a note.
        requirement: for a subject, the one that has to fail.
    """

    platform: str
    code: str
    path: Path
    certainty: str = ""
    requirement: str = ""


@dataclass
class Tools:
    """Builds into ``where``."""

    where: Path
    platforms: Platforms
    builder: Builder
    count: int = field(default=0)

    def source(self, text: str) -> Path:
        self.count += 1
        path = self.where / f"source{self.count}.c"
        path.write_text(text)
        return path

    def target(self, arch: Arch, libc: str = "", cpu: str = "") -> Target:
        flags = (f"-mcpu={cpu}",) if cpu else ()
        return Target(arch, self.platforms.file.architectures[arch], libc or NEWEST[arch], flags)

    def c(
        self,
        arch: Arch,
        text: str,
        *flags: str,
        libc: str = "",
        cpu: str = "",
        shared: bool = False,
        stubs: dict[str, bytes] | None = None,
        links: tuple[str, ...] = (),
    ) -> bytes:
        return self.builder.c(
            self.target(arch, libc, cpu),
            [self.source(text)],
            flags=flags,
            shared=shared,
            with_objects=stubs or {},
            libraries=links,
        )

    def stub(self, arch: Arch, soname: str, version: str, function: str) -> bytes:
        """A library of this name that has one function, under a symbol version."""
        # At a place that is the same in every run: it is part of what a cached build is known by.
        script = self.builder.cache.root / "maps" / f"{version}-{function}.map"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"{version} {{ global: {function}; local: *; }};\n")
        text = f"int {function}(void) {{ return 1; }}\n"
        return self.c(arch, text, f"-Wl,-soname,{soname}", f"-Wl,--version-script={script}", "-nostdlib", shared=True)

    def user_of(self, arch: Arch, soname: str, version: str, function: str) -> bytes:
        """A library that needs ``function`` of ``soname`` in this version, and nothing else."""
        stub = self.stub(arch, soname, version, function)
        text = f"int {function}(void);\nint use(void) {{ return {function}(); }}\n"
        return self.c(arch, text, "-nostdlib", shared=True, stubs={soname: stub})

    def file(self, name: str, data: bytes) -> Path:
        path = self.where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def zip(self, name: str, files: dict[str, bytes]) -> Path:
        return self.file(name, containers.zipped(files))

    def tar(self, files: dict[str, bytes], mode: str = "w:gz") -> bytes:
        return containers.tar(files, mode)

    def deb(self, name: str, control: str, files: dict[str, bytes]) -> Path:
        return self.file(name, containers.deb(files, control))

    def appimage(self, name: str, runtime: bytes, files: dict[str, bytes]) -> Path:
        tree = self.where / "AppDir"
        for inside, data in files.items():
            (tree / inside).parent.mkdir(parents=True, exist_ok=True)
            (tree / inside).write_bytes(data)
        image = self.where / "image.squashfs"
        subprocess.run(
            ["mksquashfs", str(tree), str(image), "-quiet", "-no-progress", "-noappend"],
            check=True,
            capture_output=True,
        )
        marked = bytearray(runtime)
        marked[8:11] = b"AI\x02"
        return self.file(name, bytes(marked) + image.read_bytes())

    def image(self, name: str, arches: list[str]) -> Path:
        manifests = [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": f"sha256:{n:064x}",
                "size": 2,
                "platform": {"os": "linux", "architecture": arch},
            }
            for n, arch in enumerate(arches)
        ]
        index = {"schemaVersion": 2, "manifests": manifests}
        files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode()}
        return self.file(name, self.tar(files, "w"))

    def subject(self, manifest: str, files: Mapping[str, str | bytes]) -> Path:
        place = self.where / "subject"
        place.mkdir(exist_ok=True)
        for inside, data in files.items():
            (place / inside).parent.mkdir(exist_ok=True)
            (place / inside).write_bytes(data if isinstance(data, bytes) else data.encode())
        (place / "xinchuang.yaml").write_text(HEAD + manifest)
        load_subject(place)
        return place


def with_flags(data: bytes, flags: int) -> bytes:
    """An ELF64 object with other e_flags."""
    patched = bytearray(data)
    struct.pack_into("<I", patched, 48, flags)
    return bytes(patched)
