"""Rules about packages against what runs them, Python, Node.js or .NET: it comes along, or is the system's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Confidence, Fact
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.brought import Brought, Number
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.inspect.rules.npm import manifest_of
from pytest_xinchuang.inspect.rules.wheels import cpythons_of, takes_wheel
from pytest_xinchuang.messages import Message, _, verbatim

NODE_LIBC = (("18", "2.28"), ("16", "2.17"))
"""Node.js and the glibc that its own builds ask for (BUILDING.md of each release), the newest first."""

LEAST_NODE = (((2, 28), 10), ((0,), 4))
"""What every Node.js is that comes with a system of a glibc: of Debian 10 and Red Hat 8, and of Ubuntu 16.04 before."""

LONGEST_RANGE = 200
"""Characters of a range of versions; the longest real ones have some 50."""

RELEASES = 30
"""Releases of a feature version of Python; 3.8 has had most, 21."""

ANY = 1 << 16
"""A number in the place of those that are not told: above that of any release."""

DOTNET_LIBC = ((10, "2.27"), (7, "2.23"))
"""Microsoft's builds of .NET and the glibc that they ask for (dotnet/core, supported-os.md; dotnet/runtime#109939)."""


def shown(number: Sequence[int]) -> str:
    return ".".join(map(str, number))


def check_interpreters(judge: Judge, nodes: Sequence[Node], taken: set[int], along: Brought) -> None:
    """All containers of a delivery that the platform takes.

    Args:
        taken: the objects that it takes, by ``id``.
    """
    for node in nodes:
        if node.kind == "wheel":
            check_python(judge, node, along)
        check_node(judge, node, along)
        check_dotnet_runtime(judge, node, along)
    modules = [r for node in nodes for r in node.objects if id(r) in taken and r.file_name.endswith(".node")]
    _check_abi(judge, modules, along)


# -- Python


def _takes(node: Node, python: Number) -> tuple[bool, str]:
    """Whether a Python takes a wheel, by the tags of its name and by what it says of itself; and what that asks for."""
    tags = cpythons_of(node.name)
    if tags and not takes_wheel(python, node.name):
        return False, ", ".join(tags)
    asked = _requires(node)
    return (asked is None or _fits(asked, python)), asked or ""


def _requires(node: Node) -> str | None:
    """Requires-Python of a wheel's METADATA (core metadata, 1.2); None: it asks for none, or for more than is read."""
    for name, text in node.texts.items():
        if name.endswith(".dist-info/METADATA") and name.count("/") == 1:
            head = re.split(r"\r?\n\r?\n", text.decode(errors="replace"))[0]
            found = re.search(r"^Requires-Python:[ \t]*(\S.*)$", head, re.M)
            return found[1].strip() if found and len(found[1]) <= LONGEST_RANGE else None
    return None


def _fits(asked: str, python: Number) -> bool:
    """Whether some release of a feature version is within what is asked for: 3.7 fits >=3.7.1."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        allowed = SpecifierSet(asked)
    except InvalidSpecifier:
        return True
    return any(allowed.contains(f"{python[0]}.{python[1]}.{patch}") for patch in range(RELEASES))


def check_python(judge: Judge, node: Node, along: Brought) -> None:
    """A wheel that the Python which comes along does not take; or the system's own, which is told and no failure."""
    pythons = along.versions.get("python")
    if pythons is not None:
        refused = [python for python in pythons if not _takes(node, python)[0]]
        if pythons and len(refused) == len(pythons):
            judge.find(
                "XC-DIST-026",
                Certainty.GUARDED,
                node.place,
                package=node.package,
                asked=_takes(node, max(pythons))[1],
                python=shown(max(pythons)[:2]),
            )
        return
    fact = judge.platform.system.software.python
    if fact.value is None or along.whole:
        return
    fits, asked = _takes(node, version_key(fact.value))
    if not fits:
        judge.find(
            "XC-DIST-003",
            Certainty.NOTE,
            node.place,
            package=node.package,
            tags=asked,
            python=fact.value,
            system=judge.platform.system.title.message(),
        )


# -- Node.js


def check_node(judge: Judge, node: Node, along: Brought) -> None:
    """What the delivery's own package.json asks of Node.js, where none comes along."""
    _name, package = manifest_of(node)
    engines = package.get("engines") if package is not None else None
    least = _least(engines.get("node")) if isinstance(engines, dict) else None
    refused = any(f.code == "XC-PKG-010" and f.object == node.place for f in judge.findings)
    if least is None or refused or along.has("node") or along.whole:
        return
    _check_start(judge, node, least)
    fact = judge.platform.system.software.node
    if least[0] <= _always(judge) or (_is_sure(fact) and least <= _padded(version_key(fact.value or ""), len(least))):
        return
    judge.find(
        "XC-DIST-027",
        Certainty.GUARDED if _is_sure(fact) else Certainty.UNDECIDED,
        node.place,
        package=node.package,
        node=shown(least),
        why=_known(judge, fact, "Node.js"),
    )


def _always(judge: Judge) -> int:
    """The Node.js of which every system has a later one that has a C library as new as the platform's."""
    libc = version_key(judge.glibc or "0")
    return next(node for since, node in LEAST_NODE if libc >= since)


def _check_start(judge: Judge, node: Node, least: Number) -> None:
    libc = judge.glibc
    asked = next((glibc for node_version, glibc in NODE_LIBC if least >= version_key(node_version)), None)
    if libc is not None and asked is not None and version_key(libc) < version_key(asked):
        judge.find(
            "XC-DIST-004",
            Certainty.NOTE,
            node.place,
            package=node.package,
            node=shown(least),
            glibc=asked,
            system=judge.platform.system.title.message(),
            libc=libc,
        )


def _padded(number: Number, length: int) -> Number:
    """A version of a system to compare with a longer one: 18 may be any 18."""
    return number if len(number) >= length else (*number, *(ANY,) * (length - len(number)))


def _is_sure(fact: Fact[Any]) -> bool:
    return fact.value is not None and fact.confidence is not Confidence.INFERRED


def _known(judge: Judge, fact: Fact[Any], name: str) -> Message:
    system = judge.platform.system.title.message()
    if fact.value is None:
        return _("which {name} {system} has is not known", name=verbatim(name), system=system)
    if not _is_sure(fact):
        return _(
            "that {system} has {name} {version} is only inferred",
            system=system,
            name=verbatim(name),
            version=fact.value,
        )
    return _("{system} has {name} {version}", system=system, name=verbatim(name), version=fact.value)


_OF_V8 = re.compile(r"_ZNK?(?:2v8|4node)\w+")
_REGISTERS = re.compile(r"node_register_module_v([0-9]{1,4})")


def is_bound(record: ElfRecord) -> bool:
    """Whether a module is bound to one Node.js: it uses V8 or Node.js itself, and not Node-API alone."""
    return any(_OF_V8.match(name) for name in record.elf.imports)


def abis_of(record: ElfRecord) -> list[int]:
    """The values of NODE_MODULE_VERSION that a module says it is for, by the function that registers it."""
    return sorted({int(m[1]) for name in record.elf.exports if (m := _REGISTERS.fullmatch(name))})


def _check_abi(judge: Judge, modules: Sequence[ElfRecord], along: Brought) -> None:
    """Modules that are bound to one Node.js: they use V8 itself and not Node-API, whose binary interface is stable."""
    if along.has("node") or along.whole:
        return
    bound = [r for r in modules if is_bound(r)]
    if not bound:
        return
    first = bound[0]
    numbers = sorted({number for r in bound for number in abis_of(r)})
    judge.find(
        "XC-DIST-028",
        Certainty.UNDECIDED,
        first.place,
        {"modules": [r.place for r in bound[:50]]},
        others=len(bound) - 1,
        abi=", ".join(map(str, numbers)) if numbers else _("not told"),
        why=_known(judge, judge.platform.system.software.node, "Node.js"),
    )


def _least(value: Any) -> Number | None:
    """The least version of a range; of several that are joined by ``||``, the least of all. None: it has no lower end."""
    if not isinstance(value, str) or len(value) > LONGEST_RANGE:
        return None
    found = []
    for part in value.split("||"):
        match = re.match(r"\s*(?:>=?|\^|~|=|v)*\s*v?([0-9]+(?:\.[0-9]+){0,2})", part)
        if match is None:
            return None
        found.append(version_key(match.group(1)))
    return min(found)


# -- .NET


def check_dotnet_runtime(judge: Judge, node: Node, along: Brought) -> None:
    """A program of .NET that has no run time of its own, where none comes along: no system here brings one."""
    if along.has("dotnet") or along.whole:
        return
    for name in sorted(node.texts):
        if not name.endswith(".runtimeconfig.json"):
            continue
        version = framework_of(node.json(name))
        told = any(f.code == "XC-PKG-006" and f.object == node.within(name) for f in judge.findings)
        if version is None or told:
            continue
        number = version_key(re.match(r"[0-9.]*", version)[0])  # type: ignore[index]
        asked = next((glibc for since, glibc in DOTNET_LIBC if number[:1] >= (since,)), None)
        system, libc = judge.platform.system, judge.glibc
        if asked and libc and version_key(libc) < version_key(asked):
            why = _(
                "Microsoft's builds of it need glibc {glibc}, and {system} has {libc}",
                glibc=asked,
                system=system.title.message(),
                libc=libc,
            )
        else:
            why = _("{system} has none by default", system=system.title.message())
        judge.find("XC-DIST-029", Certainty.UNDECIDED, node.within(name), version=version, why=why)


def framework_of(said: Any) -> str | None:
    """The framework that a runtimeconfig.json asks the machine for; None where it brings its own, or says nothing."""
    options = said.get("runtimeOptions") if isinstance(said, dict) else None
    if not isinstance(options, dict) or options.get("includedFrameworks"):
        return None
    listed = options.get("frameworks")
    frameworks = listed if isinstance(listed, list) else [options.get("framework")]
    found = [str(f["version"]) for f in frameworks if isinstance(f, dict) and f.get("version")]
    return max(found, key=lambda v: version_key(re.match(r"[0-9.]*", v)[0]), default=None)  # type: ignore[index]
