"""Rules about packages and images: architectures, known products, native files for others alone, manifests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.delivery import control_of
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.inspect.images import images
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.roles import Roles
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import _, joined, verbatim


def check_package(judge: Judge, node: Node) -> bool:
    """A deb's or an rpm's architecture; False where the package is not for this platform."""
    control = control_of(node)
    found = control.get("Architecture", "")
    wanted = judge.platform.package_arch("deb" if node.kind == "deb" else "rpm")
    check_product(judge, node, control.get("Package", ""), control.get("Version", ""))
    if found and found not in (wanted, "all", "noarch"):
        judge.find("XC-PKG-004", Certainty.CERTAIN, node.place, package=node.package, found_arch=found, wanted=wanted)
        return False
    return True


PRODUCTS: tuple[dict[str, Any], ...] = (
    {
        "name": r"mongodb-(?:org|enterprise)-(?:server|mongos)",
        "since": "5.0",
        "needs": {"amd64": ("avx",), "arm64": ("atomics", "dcpop")},
        "reason": _("MongoDB's builds since 5.0 require AVX on x86-64 and Armv8.2-A on arm64"),
        "advice": _("stay on 4.4, or build it from source for this CPU"),
        "advice_zh": "停留在 4.4，或为该 CPU 从源码构建",
    },
)
"""Products whose public builds are known to ask for more than a plain CPU: name, first version, features by architecture."""


def check_product(judge: Judge, node: Node, name: str, version: str) -> None:
    number = re.match(r"(?:[0-9]+:)?([0-9]+(?:\.[0-9]+)*)", version)
    for product in PRODUCTS:
        if (
            not re.fullmatch(product["name"], name)
            or number is None
            or version_key(number.group(1)) < version_key(product["since"])
        ):
            continue
        # A CPU of which no list of features is known may lack each of them.
        has = judge.platform.cpu.features.value or ()
        missing = [f for f in product["needs"].get(judge.arch_name, ()) if f not in has]
        if missing:
            sure = any(judge.platform.cpu.has(f) is False for f in missing)
            judge.find(
                "XC-PKG-005",
                Certainty.CERTAIN if sure else Certainty.UNDECIDED,
                node.place,
                package=name,
                version=version,
                reason=product["reason"],
                cpu=judge.platform.cpu.title.message(),
                feature=joined(map(verbatim, missing), _(", ")),
                advice=product["advice"],
                advice_zh=product["advice_zh"],
            )


def check_dotnet(judge: Judge, node: Node) -> None:
    """.NET up to 7 has LoongArch ports of the old world alone; .NET 8 brought the new world."""
    if "old" not in judge.platform.architecture.interpreters or judge.platform.world != "new":
        return
    for name, text in node.texts.items():
        if not name.endswith(".runtimeconfig.json"):
            continue
        try:
            options = json.loads(text)["runtimeOptions"]
            frameworks = options.get("frameworks") or [options.get("framework") or {}]
            versions = [str(f.get("version", "")) for f in frameworks + options.get("includedFrameworks", [])]
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        old = next((v for v in versions if re.match(r"[3567]\.", v)), None)
        if old:
            judge.find(
                "XC-PKG-006",
                Certainty.CERTAIN,
                node.within(name),
                runtime=f".NET {old}",
                system=judge.platform.system.title.message(),
                wanted=judge.platform.world,
                advice="move to .NET 8 or later",
                advice_zh="升级到 .NET 8 或更高",
            )


def check_names(judge: Judge, records: Iterable[ElfRecord], roles: Roles) -> None:
    """A file whose path names the platform's architecture and whose machine is another."""
    for record in records:
        named = roles.named(record)
        other = record.elf.machine != judge.platform.architecture.elf_machine
        if other and named == judge.arch_name and record.elf.interpreter is None and record.elf.kind == "dyn":
            judge.find("XC-JAR-003", Certainty.CERTAIN, record.place, named=named, machine=record.elf.machine)


_CLASSIFIER = re.compile(r"<classifier>\s*([^<\s]+)\s*</classifier>")


def check_classifiers(judge: Judge, node: Node, architectures: Mapping[Any, Architecture]) -> None:
    """Maven classifiers of a pom.xml: a misspelt architecture, or others and not the platform's."""
    for name, text in node.texts.items():
        if name.rpartition("/")[2] != "pom.xml" and not name.endswith(".pom"):
            continue
        found = [c for c in _CLASSIFIER.findall(text.decode(errors="replace")) if c.startswith("linux-")]
        words = {c.removeprefix("linux-").split("-")[0] for c in found}
        right = {a.names.get("maven"): a for a in architectures.values()}
        wanted = f"linux-{judge.platform.architecture.names.get('maven')}"
        for word in sorted(words):
            mine = judge.platform.architecture
            if word in mine.aliases and word != mine.names.get("maven"):
                judge.find(
                    "XC-JAR-002",
                    Certainty.CERTAIN,
                    node.within(name),
                    package=node.package,
                    classifier=f"linux-{word}",
                    wanted=wanted,
                )
        natives = words & set(right)
        if (
            natives
            and judge.platform.architecture.names.get("maven") not in words
            and not words & set(judge.platform.architecture.aliases)
        ):
            judge.find(
                "XC-JAR-002",
                Certainty.CERTAIN,
                node.within(name),
                package=node.package,
                classifier=", ".join(f"linux-{w}" for w in sorted(natives)),
                wanted=wanted,
            )


def check_image(judge: Judge, node: Node, architectures: Mapping[Any, Architecture]) -> bool:
    """An OCI layout's or docker-save archive's platforms; False where the image has none for this one."""
    found = [image for image in images(node) if image.arch]
    # Where a manifest is there at all, a platform without one was left out when the archive was written.
    some = any(image.present for image in found)
    have = {(image.os, image.arch) for image in found if image.present or not some}
    wanted = judge.platform.architecture.names.get("oci", judge.arch_name)
    aliases = {alias: a.names.get("oci", "") for a in architectures.values() for alias in a.aliases}
    for system, arch in sorted(have):
        right = aliases.get(arch)
        if right and right != arch and right == wanted:
            judge.find("XC-IMG-002", Certainty.CERTAIN, node.place, package=node.package, found_arch=arch, wanted=right)
            return True
        del system
    if have and ("linux", wanted) not in have:
        judge.find(
            "XC-IMG-001",
            Certainty.CERTAIN,
            node.place,
            package=node.package,
            wanted=wanted,
            have=", ".join(f"{s}/{a}" for s, a in sorted(have)),
        )
        return False
    return True


def _release(node: Node) -> bytes | None:
    """The os-release that programs see: in an image that of the highest layer that has one, however they are saved."""
    found = [
        (int(n.facts.get("layer", 0)), text)
        for n in node.walk()
        for name, text in n.texts.items()
        if name.endswith(("etc/os-release", "usr/lib/os-release"))
    ]
    return max(found, key=lambda one: one[0], default=(0, None))[1]


def check_system(judge: Judge, node: Node) -> None:
    """A root filesystem or image that carries another edition's os-release or glibc than the platform's."""
    release = _release(node)
    libc = node.facts.get("libc")
    identity = judge.platform.system.identity.value
    wanted = judge.platform.system.libc_version.value
    if release is None or identity is None:
        return
    text = release.decode(errors="replace")
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.M)
    same = all(re.search(pattern, text, re.M) for pattern in identity)
    family = re.search(identity[0], text, re.M) is not None
    differs = libc is not None and wanted is not None and libc != wanted
    if family and (not same or differs):
        judge.find(
            "XC-OS-001",
            Certainty.CERTAIN if differs or not same else Certainty.NOTE,
            node.place,
            package=node.package,
            name=name.group(1) if name else _("a system without a name"),
            libc=libc or "unknown",
            os=judge.platform.os_name,
            wanted=wanted or "unknown",
        )
