"""Snapshots of jars and of directories of class files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, told
from pytest_xinchuang.packages.sdk_ast.java import kotlin
from pytest_xinchuang.packages.sdk_ast.java.classfile import (
    ABSTRACT,
    BRIDGE,
    ENUM,
    FINAL,
    INTERFACE,
    PRIVATE,
    PROTECTED,
    PUBLIC,
    STATIC,
    SYNTHETIC,
    VARARGS,
    BadClass,
    ClassFile,
    ClassMember,
    Module,
    read_class,
)
from pytest_xinchuang.packages.sdk_ast.java.delivery import (
    MANIFEST,
    Exports,
    class_files,
    exported_by,
    is_of_release,
    manifest_of,
    on_every_release,
)
from pytest_xinchuang.packages.sdk_ast.java.signature import (
    ClassType,
    Generic,
    Tree,
    Variable,
    class_generic,
    member_generic,
    parse_descriptor,
    plain,
    substituted,
    written,
)
from pytest_xinchuang.packages.sdk_ast.problems import MALFORMED_CLASS, problem_record
from pytest_xinchuang.packages.sdk_ast.writer import write_snapshot

TOOLCHAIN = "class-files/2"
"""What snapshots with all facts that are compared are made by."""

MODULE = "module-info"
"""The package that holds modules, which is no name of a package (JLS 7.4.1)."""


def extract_java(place: Path, output: Path, *, version: str = "") -> None:
    """Write the snapshot of a jar, or of a directory of class files and jars.

    Raises:
        XcError: there is no class in it.
    """
    problems: dict[str, list[dict[str, Any]]] = {}
    sources: dict[str, Any] = {}
    classes: dict[str, ClassFile] = {}
    of_releases: dict[str, list[ClassFile]] = {}
    exports = Exports()
    modules: dict[str, dict[str, Any]] = {}
    seen = 0
    for name, data in class_files(place):
        if name.endswith(MANIFEST):
            manifest = manifest_of(data)
            exports.add(exported_by(manifest))
            exports.automatic = exports.automatic or manifest.get("Automatic-Module-Name", "")
            continue
        seen += 1
        package = name.rpartition("!")[2].rpartition("/")[0].replace("/", ".")
        try:
            found = read_class(data)
        except BadClass as error:
            problems.setdefault(package, []).append(problem_record(name, None, MALFORMED_CLASS, why=told(error)))
            sources.setdefault(package, hashlib.sha256()).update(name.encode() + data)
            continue
        if found.module is not None:
            exports.add(frozenset(found.module.exports))
            modules[found.module.name] = _module(found.module)
            package = MODULE
        elif is_of_release(name):
            package = found.name.rpartition(".")[0]
            of_releases.setdefault(found.name, []).append(found)
        else:
            classes.setdefault(found.name, found)
        sources.setdefault(package, hashlib.sha256()).update(name.encode() + data)
    for known in classes.keys() & of_releases.keys():
        classes[known] = on_every_release(classes[known], of_releases[known])
    if not seen:
        raise XcError(
            _("{place}: there is no class file in it", place=place),
            mend=_("name a jar, or the directory that javac wrote to"),
        )
    if exports.automatic and not modules:
        modules[exports.automatic] = {"kind": "module", "facts": {"automatic": True}}
    packages: dict[str, dict[str, dict[str, Any]]] = {MODULE: modules} if modules else {}
    types = Types(classes)
    for found in classes.values():
        if types.offered(found):
            package = found.name.rpartition(".")[0]
            try:
                packages.setdefault(package, {}).update(_symbols(found, types))
            except (BadClass, RecursionError) as error:  # a signature of it, or of what it extends
                problems.setdefault(package, []).append(
                    problem_record(found.name, None, MALFORMED_CLASS, why=told(error))
                )
    first = {
        "language": "java",
        "name": "java",
        "version": version,
        "toolchain": TOOLCHAIN,
        "targets": ["jvm"],
        "minimum": str(max((c.release for c in classes.values()), default=0)),
    }
    # A package follows from the classes of all: a digest of its own class files says too little.
    whole = hashlib.sha256("".join(f"{n}{sources[n].hexdigest()}" for n in sorted(sources)).encode()).hexdigest()
    records = [
        (name, name, "sha256:" + whole, [("jvm", packages.get(name, {}), problems.get(name, []))])
        for name in sorted({*packages, *problems})
    ]
    hidden = frozenset(name for name in packages if name != MODULE and exports.hides(name))
    write_snapshot(output, first, records, internal=hidden)


def _module(module: Module) -> dict[str, Any]:
    facts = {"exports": module.exports, "opens": module.opens, "requires": module.requires, "provides": module.provides}
    return {"kind": "module", "facts": facts}


class Types:
    """The classes of a delivery, and what they inherit from one another.

    Args:
        classes: name -> class.
    """

    def __init__(self, classes: Mapping[str, ClassFile]) -> None:
        self.classes = classes
        self._generics: dict[str, tuple[Generic, dict[str, str]]] = {}
        self._extended = {name for c in classes.values() if c.visible for name in (c.parent, *c.interfaces)}

    def offered(self, found: ClassFile) -> bool:
        """Whether others can name a class: it and those around it are visible, or one that is visible inherits it."""
        if not found.visible or re.search(r"\$\d", found.name) or kotlin.is_internal(found.annotations):
            return False
        outer = found.name.rpartition("$")[0]
        around = self.classes.get(outer)
        return around is None or outer in self._extended or self.offered(around)

    def generic(self, found: ClassFile) -> tuple[Generic, dict[str, str]]:
        """Its generic types, and how its variables are called there."""
        if found.name not in self._generics:
            self._generics[found.name] = class_generic(found.signature, found.parent, found.interfaces)
        return self._generics[found.name]

    def lineage(self, found: ClassFile) -> Iterator[tuple[ClassType, ClassFile | None]]:
        """All supertypes with their arguments, superclasses first; those that are not here without their class."""
        superclass, *interfaces = self.generic(found)[0].parents or (plain("java.lang.Object"),)
        waiting: list[Tree] = []
        current: Tree | None = superclass
        seen = {found.name}
        if found.access & INTERFACE:
            current = None
        waiting += interfaces
        while current is not None or waiting:
            one = current if current is not None else waiting.pop(0)
            was_class, current = current is not None, None
            if not isinstance(one, ClassType) or one.name in seen:
                continue
            seen.add(one.name)
            known = self.classes.get(one.name)
            yield one, known
            if known is None:
                continue
            by = self.arguments(one, known)
            parents = [substituted(parent, by) for parent in self.generic(known)[0].parents]
            if was_class and parents:
                current, *parents = parents
            waiting += parents if was_class else parents[1:]

    def arguments(self, type_: ClassType, known: ClassFile) -> dict[str, Tree]:
        """A class's variables -> the arguments that a type gives them; their bounds where it is raw."""
        bounds = self.generic(known)[0].bounds
        given = type_.arguments
        if len(given) != len(bounds):
            given = tuple(one[0] if one else plain("java.lang.Object") for one in bounds)
        by: dict[str, Tree] = {f"c{n}": argument for n, argument in enumerate(given)}
        # A bound that names a variable of the class itself is erased (JLS 4.6).
        own = {name: tree for name, tree in by.items() if type_.arguments or not _names_variable(tree)}
        return {name: own.get(name, plain("java.lang.Object")) for name in by}


def _names_variable(tree: Tree) -> bool:
    return isinstance(tree, Variable) or (isinstance(tree, ClassType) and any(map(_names_variable, tree.arguments)))


def _symbols(found: ClassFile, types: Types) -> Iterator[tuple[str, dict[str, Any]]]:
    short = found.name.rpartition(".")[2].replace("$", ".")
    lineage = list(types.lineage(found))
    yield short, _class(found, types, lineage)
    hidden = kotlin.internal_names(found.annotations)
    of_kotlin = kotlin.METADATA in found.annotations
    methods: dict[str, tuple[ClassMember, ClassFile, dict[str, Tree]]] = {}
    for m in found.methods:
        # Names of internal functions of Kotlin end in the module's (``f$lib``).
        internal = m.name in hidden or (of_kotlin and "$" in m.name and not m.name.endswith("$default"))
        if not internal:
            methods[m.name + m.descriptor] = (m, found, {})
    fields = {m.name: (m, found, dict[str, Tree]()) for m in found.fields}
    # A member that moved to a superclass is found there all the same (JVMS 5.4.3).
    for parent, known in lineage:
        if known is None:
            continue
        by = types.arguments(parent, known)
        of_interface = bool(known.access & INTERFACE)
        for m in known.methods:
            if (
                m.name in ("<init>", "<clinit>")
                or m.access & (PRIVATE | SYNTHETIC)
                or (of_interface and m.access & STATIC)
            ):
                continue  # static ones of interfaces are not inherited (JLS 8.4.8)
            mine = methods.get(m.name + m.descriptor)
            # What javac puts in to pass a call on (a bridge) says nothing that the method itself does not.
            if mine is None or (_repeats(mine[0], found) and not m.access & ABSTRACT):
                methods[m.name + m.descriptor] = (m, known, by)
        for m in known.fields:
            fields.setdefault(m.name, (m, known, by))
    for m, owner, by in methods.values():
        if m.access & (PUBLIC | PROTECTED) and m.name != "<clinit>":
            bridge = bool(m.access & BRIDGE)
            if bridge or not m.access & SYNTHETIC or m.name.endswith("$default"):
                yield f"{short}#{m.name}{m.descriptor}", _member("method", m, owner, found, by, types)
    for m, owner, by in fields.values():
        if m.access & (PUBLIC | PROTECTED) and not m.access & SYNTHETIC:
            yield f"{short}#{m.name}", _member("field", m, owner, found, by, types)


def _repeats(m: ClassMember, found: ClassFile) -> bool:
    """Whether a method is a bridge to the very method of a superclass that others cannot name, and not to one of its class."""
    return bool(m.access & SYNTHETIC) and not any(
        own.name == m.name and not own.access & SYNTHETIC and _arity(own) == _arity(m) for own in found.methods
    )


def _arity(m: ClassMember) -> int:
    return len(parse_descriptor(m.descriptor)["params"])


def _class(found: ClassFile, types: Types, lineage: list[tuple[ClassType, ClassFile | None]]) -> dict[str, Any]:
    generic = types.generic(found)[0]
    facts: dict[str, Any] = {
        "kind": found.kind,
        "access": _access(found.access),
        "static": bool(found.access & STATIC),
        "final": bool(found.access & FINAL),
        "abstract": bool(found.access & ABSTRACT),
        "sealed": found.permits is not None,
        "super": sorted({one.name for one, _known in lineage} - {"java.lang.Object"}),
        "open": not found.access & FINAL and found.permits is None and _constructible(found),
        "signature": found.signature,
        "bounds": [[written(bound) for bound in bounds] for bounds in generic.bounds],
        "parents": {one.name: written(one) for one, _known in lineage if one.arguments},
    }
    if found.permits is not None:
        facts["permits"] = found.permits
    if found.components is not None:
        facts["components"] = [
            [name, written(member_generic(text, text, types.generic(found)[1]).result)]
            for name, text in found.components
        ]
    if found.kind == "annotation":
        facts["annotation"] = _annotation(found)
    serial = next((m.constant for m in found.fields if m.name == "serialVersionUID" and m.constant is not None), None)
    if serial is not None:
        facts["serial"] = serial
    return {"kind": "class", "facts": facts, **({"deprecated": True} if found.deprecated else {})}


def _annotation(found: ClassFile) -> dict[str, Any]:
    """Where an annotation may stand, how long it lasts and whether it may stand twice (JLS 9.6.4)."""
    given = {name.rpartition(".")[2]: values for name, values in found.annotations.items() if ".annotation." in name}
    facts: dict[str, Any] = {"retention": given.get("Retention", {}).get("value", "CLASS")}
    if "Target" in given:
        facts["targets"] = sorted(map(str, given["Target"].get("value", [])))
    if "Repeatable" in given:
        facts["repeatable"] = True
    if "Inherited" in given:
        facts["inherited"] = True
    return facts


def _constructible(found: ClassFile) -> bool:
    """Whether others can write subclasses, or implementations."""
    if found.access & INTERFACE:
        return True
    return any(m.name == "<init>" and m.access & (PUBLIC | PROTECTED) for m in found.methods)


def _access(flags: int) -> str:
    return "public" if flags & PUBLIC else "protected" if flags & PROTECTED else "package"


def _member(
    kind: str, m: ClassMember, owner: ClassFile, found: ClassFile, by: Mapping[str, Tree], types: Types
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "access": _access(m.access),
        "static": bool(m.access & STATIC),
        "final": bool(m.access & FINAL),
        "inherited": owner is not found,
    }
    generic = member_generic(m.signature, m.descriptor, types.generic(owner)[1], m.exceptions)

    def text(tree: Tree) -> str:
        return written(substituted(tree, by))

    if kind == "method":
        facts |= {"abstract": bool(m.access & ABSTRACT), "throws": sorted(map(text, generic.throws))}
        more = {"varargs": m.access & VARARGS, "bridge": m.access & BRIDGE, "default": m.default}
        facts |= {name: True for name, value in more.items() if value}
    elif m.access & ENUM:
        facts["enum"] = True
    if m.signature:
        facts["result"] = text(generic.result)
        if kind == "method":
            facts["params"] = [text(one) for one in generic.params]
            facts["bounds"] = [[text(one) for one in bounds] for bounds in generic.bounds]
    symbol: dict[str, Any] = {"kind": kind, "type": parse_descriptor(m.descriptor), "facts": facts}
    if m.constant is not None:
        symbol["value"] = m.constant
    if m.deprecated:
        symbol["deprecated"] = True
    return symbol
