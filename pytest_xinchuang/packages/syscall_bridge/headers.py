"""The kernel's user-space headers (UAPI), for each architecture, and libclang to read them with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import DataFileError, HostFault, ToolchainFault, UnknownName
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import Message, _, joined, told, verbatim
from pytest_xinchuang.toolchain.builder import find_zig
from pytest_xinchuang.tools.versions import toolchains


@dataclass(frozen=True)
class UapiArch:
    """One architecture as kernel, compilers and distributions call it.

    Attributes:
        triple: clang's target, and Debian's multiarch directory.
        zig: what zig calls its header directory.
        kernel: the directory below arch/ in the kernel's source.
        zig_target: what zig reads the headers for: without an operating system, or it would search its own first.
        goarch: Go's name; empty where Go has none.
        flags: what the compiler needs to know of the ABI.
        rust: Rust's name, for ``target_arch``.
    """

    triple: str
    zig: str
    kernel: str
    zig_target: str
    goarch: str
    rust: str
    flags: tuple[str, ...] = ()


ARCHITECTURES: dict[str, UapiArch] = {
    "amd64": UapiArch("x86_64-linux-gnu", "x86", "x86", "x86_64-freestanding", "amd64", "x86_64"),
    "arm64": UapiArch("aarch64-linux-gnu", "aarch64", "arm64", "aarch64-freestanding", "arm64", "aarch64"),
    "loong64": UapiArch(
        "loongarch64-linux-gnu", "loongarch", "loongarch", "loongarch64-freestanding", "loong64", "loongarch64"
    ),
    # OpenHarmony small systems are 32-bit Arm.
    "arm": UapiArch("arm-freestanding-eabihf", "arm", "arm", "arm-freestanding-eabihf", "arm", "arm"),
    "riscv64": UapiArch("riscv64-linux-gnu", "riscv", "riscv", "riscv64-freestanding", "riscv64", "riscv64"),
    "386": UapiArch("i386-linux-gnu", "x86", "x86", "x86-freestanding", "386", "x86"),
    "ppc64le": UapiArch(
        "powerpc64le-linux-gnu", "powerpc", "powerpc", "powerpc64le-freestanding", "ppc64le", "powerpc64"
    ),
    "s390x": UapiArch("s390x-linux-gnu", "s390x", "s390", "s390x-freestanding", "s390x", "s390x"),
}

_ALIASES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "loongarch64": "loong64",
    "armv7": "arm",
    "armhf": "arm",
    "i386": "386",
}


def architecture(name: str) -> str:
    """The name used here of an architecture that may be called otherwise.

    Raises:
        UnknownName: nothing is called so.
    """
    found = _ALIASES.get(name, name)
    if found not in ARCHITECTURES:
        raise UnknownName(
            _(
                "unknown architecture {name}{hint}; there are {known}",
                name=verbatim(repr(name)),
                hint=near(name, [*ARCHITECTURES, *_ALIASES]),
                known=joined(map(verbatim, ARCHITECTURES), _(", ")),
            )
        )
    return found


@dataclass(frozen=True)
class Headers:
    """Headers of one kernel for one architecture.

    Attributes:
        directories: searched in this order; the kernel's own, and nothing else.
        kernel: the release that linux/version.h names; empty where there is none.
        source: where they are from, for people.
    """

    arch: str
    directories: tuple[Path, ...]
    kernel: str
    source: Message

    @property
    def arguments(self) -> list[str]:
        """The options that make clang use them."""
        arch = ARCHITECTURES[self.arch]
        includes = [word for d in self.directories for word in ("-isystem", str(d))]
        # Annotations in an unexported source tree, for the kernel's own checker.
        quiet = ["-D__user=", "-D__force=", "-D__iomem=", "-D__linux__=1"]
        return ["-x", "c", "-std=gnu11", f"--target={arch.triple}", "-nostdinc", *includes, *quiet, *arch.flags]


def install_command(arch: str) -> Message:
    """How the kernel's own build exports headers of an architecture."""
    return verbatim(f"make -C LINUX headers_install ARCH={ARCHITECTURES[arch].kernel} INSTALL_HDR_PATH=DIR")


def find_headers(arch: str, directory: Path | None = None) -> Headers:
    """The headers that zig carries, or those below a directory: exported ones (``make headers_install``), a distribution's
    linux-libc-dev, OpenHarmony's ``prebuilts/usr/include``, or a kernel's source tree.

    Raises:
        HostFault: zig is not installed and no directory is given.
        DataFileError: the directory has none for this architecture.
    """
    names = ARCHITECTURES[arch]
    if directory is None:
        try:
            base = Path(find_zig()).parent / "lib/libc/include"
        except ToolchainFault as error:
            raise HostFault(
                _("no kernel headers: zig, which carries some, is not installed"),
                mend=_("{command}, or --headers DIR", command=toolchains()),
            ) from error
        found = [base / f"{names.zig}-linux-any", base / "any-linux-any"]
        source = _("zig's headers")
    else:
        if not directory.is_dir():
            raise DataFileError(_("{directory}: no such directory of headers", directory=directory))
        found = _below(directory.resolve(), names)
        source = verbatim(str(directory))
    unistd = next((d / "asm/unistd.h" for d in found if (d / "asm/unistd.h").is_file()), None)
    if unistd is None:
        raise DataFileError(
            _("{source}: no asm/unistd.h for {arch} in it", source=source, arch=arch),
            mend=_("{command}, and give DIR/include", command=install_command(arch)),
        )
    kernel = next((text for d in found if (text := _release(d / "linux/version.h"))), "")
    return Headers(arch, tuple(d for d in found if d.is_dir()), kernel, source)


def _below(root: Path, names: UapiArch) -> list[Path]:
    """Every directory below ``root`` that may hold headers of the architecture, the special ones first."""
    bases = [root, root / "include", root / "usr/include"]
    found: list[Path] = []
    for base in bases:
        found += [
            base / names.triple,
            base / f"{names.zig}-linux-any",
            base / f"asm-{names.kernel}",
            base / f"arch/{names.kernel}/include/generated/uapi",
            base / f"arch/{names.kernel}/include/uapi",
        ]
    for base in bases:
        found += [base / "any-linux-any", base / "uapi", base / "generated/uapi", base]
    return [d for d in found if d.is_dir()]


def _release(version_h: Path) -> str:
    """The release of linux/version.h: LINUX_VERSION_CODE is (a << 16) + (b << 8) + c, c at most 255."""
    try:
        words = version_h.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return ""
    if "LINUX_VERSION_CODE" not in words[:-1]:
        return ""
    text = words[words.index("LINUX_VERSION_CODE") + 1]
    if not text.isdigit():
        return ""
    code = int(text)
    release = f"{code >> 16}.{code >> 8 & 0xFF}.{code & 0xFF}"
    return release.removesuffix(".0") if release.endswith(".0") else release


def parse(headers: Headers, text: str, *, macros: bool = False) -> Any:
    """Parse ``text`` with libclang and these headers.

    Raises:
        HostFault: libclang is not there, or does not read at all.
    """
    with optional("syscall_bridge"):
        from clang import cindex
    options = cindex.TranslationUnit.PARSE_SKIP_FUNCTION_BODIES
    if macros:
        options |= cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD
    try:
        return cindex.Index.create().parse(
            "uapi.c", args=headers.arguments, unsaved_files=[("uapi.c", text)], options=options
        )
    except cindex.TranslationUnitLoadError as error:
        raise HostFault(
            _("libclang does not read the headers for {arch}: {why}", arch=headers.arch, why=told(error))
        ) from error


def errors_of(unit: Any) -> list[str]:
    """The errors that libclang met: file, line and message of each."""
    found = []
    for diagnostic in unit.diagnostics:
        if diagnostic.severity >= 3:  # CXDiagnostic_Error, clang-c/Index.h
            place = diagnostic.location
            file = place.file.name if place.file else "?"
            found.append(f"{file}:{place.line}: {diagnostic.spelling}")
    return found


def need_whole(unit: Any, headers: Headers, what: str) -> None:
    """Raise DataFileError unless ``unit`` was read without an error: half a table is a wrong one."""
    if errors := errors_of(unit):
        raise DataFileError(
            _(
                "{source}: {what} cannot be read for {arch}: {errors}",
                source=headers.source,
                what=what,
                arch=headers.arch,
                errors=verbatim(errors[0]),
            ),
            mend=install_command(headers.arch),
        )
