"""binding.gyp: what node-gyp builds for a machine, by the conditions in it.

Sources: GYP's input format reference (conditions, variables, merging of lists), node-gyp (``target_arch``, ``OS``).
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.toolchain.builder import find_zig
from pytest_xinchuang.toolchain.jail import Sights
from pytest_xinchuang.toolchain.site import homes

_DEEPEST = 40
"""Dictionaries within each other."""
FLAGS_S = 30.0
"""Seconds for a compiler that is asked about flags."""
_SOURCE = re.compile(r".*\.(?:c|cc|cpp|cxx|m|mm|s|S|asm)$")


@dataclass(frozen=True)
class Built:
    """What a target of a file is for one machine. Attributes: unsure: a condition cannot be decided here."""

    name: str
    line: int
    sources: tuple[str, ...]
    flags: tuple[str, ...]
    unsure: bool


class Unknown(Exception):
    """A condition that cannot be decided here."""


def targets_of(text: str, arch: str) -> list[Built]:
    """The targets of a binding.gyp for ``target_arch``.

    Raises:
        ValueError: it is none that can be read.
    """
    try:
        data = ast.literal_eval(text.lstrip("\ufeff").strip())
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError("no literal") from error
    if not isinstance(data, dict) or not isinstance(data.get("targets"), list):
        raise TypeError("no targets")
    unsure: list[bool] = []
    names = _variables(data, {"OS": "linux", "target_arch": arch, "host_arch": arch, "node_shared": "false"})
    whole = _merged({k: v for k, v in data.items() if k != "targets"}, names, unsure, 0)
    defaults = whole.get("target_defaults") or {}
    found = []
    for target in data["targets"]:
        own = _variables(target, names)
        before = len(unsure)
        made = _merged(target, own, unsure, 0)
        flags = [*_listed(defaults, "cflags"), *(f for key in _FLAGS for f in _listed(made, key))]
        name = str(target.get("target_name", ""))
        line = text.count("\n", 0, max(0, text.find(name))) + 1
        sources = tuple(s for s in _listed(made, "sources") if _SOURCE.match(s) or "<" in s)
        kind = str(made.get("type", ""))
        found.append(Built(name, line, () if kind == "none" else sources, tuple(flags), len(unsure) > before))
    return found


_FLAGS = ("cflags", "cflags_c", "cflags_cc")


def _listed(data: Mapping[str, Any], key: str) -> Iterator[str]:
    value = data.get(key) or ()
    yield from (str(each) for each in value) if isinstance(value, list) else ()


def _variables(data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    said = data.get("variables") or {}
    own = {k.rstrip("%"): str(v) for k, v in said.items() if isinstance(v, str | int)} if isinstance(said, dict) else {}
    return {**own, **names}


def _merged(data: Mapping[str, Any], names: Mapping[str, str], unsure: list[bool], depth: int) -> dict[str, Any]:
    """A dictionary with what its conditions add."""
    made: dict[str, Any] = {}
    _merge(made, data, names, unsure, depth)
    return made


def _merge(
    made: dict[str, Any], data: Mapping[str, Any], names: Mapping[str, str], unsure: list[bool], depth: int
) -> None:
    if depth > _DEEPEST:
        raise ValueError("too deep")
    for key, value in data.items():
        if key not in ("conditions", "target_conditions"):
            _into(made, str(key), value)
    for one in (*(data.get("conditions") or ()), *(data.get("target_conditions") or ())):
        try:
            chosen = _chosen(one, names)
        except Unknown:
            unsure.append(True)
            continue
        if chosen is not None:
            _merge(made, chosen, names, unsure, depth + 1)


def _into(made: dict[str, Any], key: str, value: Any) -> None:
    """Merge as GYP does: lists are appended; ``+`` puts before, ``=`` replaces, ``!`` takes out, ``/`` is of patterns."""
    plain = key.rstrip("+=?!/")
    if isinstance(value, list) and not key.endswith("="):
        had = list(made.get(plain) or ())
        if key.endswith("!"):
            made[plain] = [each for each in had if each not in value]
        elif key.endswith("/"):
            for how, pattern in (each for each in value if isinstance(each, list) and len(each) == 2):
                if how == "exclude":
                    had = [each for each in had if not re.search(str(pattern)[:200], str(each))]
            made[plain] = had
        else:
            made[plain] = [*value, *had] if key.endswith("+") else [*had, *value]
    elif isinstance(value, dict) and isinstance(made.get(plain), dict):
        made[plain] = {**made[plain], **value}
    else:
        made[plain] = value


def _chosen(one: Any, names: Mapping[str, str]) -> Mapping[str, Any] | None:
    if not isinstance(one, list) or len(one) < 2:
        raise TypeError("no condition")
    rest = list(one)
    while rest:
        first = rest.pop(0)
        if isinstance(first, dict):
            return first
        if not rest or not isinstance(rest[0], dict):
            raise TypeError("no condition")
        then = rest.pop(0)
        if holds(str(first), names):
            return dict(then)
    return None


def holds(text: str, names: Mapping[str, str]) -> bool:
    """Whether a condition holds.

    Raises:
        Unknown: it asks for something that is not known here, the output of a program for example.
    """
    filled = re.sub(r"<\(([\w.]+)\)", lambda m: names[m[1]] if m[1] in names else m[0], text)
    if re.search(r"<!|<\(|>\(", filled):
        raise Unknown
    try:
        return bool(_value(ast.parse(filled.strip(), mode="eval").body, names))
    except (SyntaxError, ValueError, TypeError, RecursionError) as error:
        raise Unknown from error


def _value(node: ast.expr, names: Mapping[str, str]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            if node.id not in names:
                raise Unknown
            return names[node.id]
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, names)
        case ast.BoolOp():
            values = (_value(each, names) for each in node.values)
            return all(values) if isinstance(node.op, ast.And) else any(values)
        case ast.List() | ast.Tuple():
            return [_value(each, names) for each in node.elts]
        case ast.Compare():
            left = _value(node.left, names)
            for op, right in zip(node.ops, (_value(each, names) for each in node.comparators), strict=True):
                if not _compared(op, left, right):
                    return False
                left = right
            return True
    raise Unknown


def _compared(op: ast.cmpop, left: Any, right: Any) -> bool:
    match op:
        case ast.Eq():
            return bool(left == right)
        case ast.NotEq():
            return bool(left != right)
        case ast.In():
            return left in right
        case ast.NotIn():
            return left not in right
    raise Unknown


def survey_gyp(tree: SourceTree, work: Work) -> Surveyed:
    """Judge each target of each binding.gyp for each platform: what is in it for x86-64 alone, and flags that are refused."""
    said = Surveyed()
    names = tree.named("binding.gyp")
    if not names:
        return said
    base = work.baseline.architecture
    accepted: dict[tuple[str, tuple[str, ...]], bool | Message] = {}
    for platform in work.platforms:
        judge, judged, total = Judge(platform), 0, 0
        why: dict[Message, int] = {}
        for name in names:
            try:
                ours = targets_of(tree.text(name) or "", base.names.get("npm", ""))
                mine = targets_of(tree.text(name) or "", platform.architecture.names.get("npm", ""))
            except (ValueError, TypeError, AttributeError, KeyError):
                total += 1
                key = _("it is no binding.gyp that can be read")
                why[key] = why.get(key, 0) + 1
                continue
            total += len(mine)
            for before, now in zip(ours, mine, strict=True):
                flags = tuple(f for f in now.flags if f.startswith("-m") and "<" not in f)
                lost = _target(judge, work, name, before, now, accepted, flags)
                if now.unsure:
                    lost = lost or _("a condition asks for more than the machine")
                if lost is None:
                    judged += 1
                else:
                    why[lost] = why.get(lost, 0) + 1
        said.add([platform.id], Part(verbatim("binding.gyp"), judged, total, why=tuple(why.items())))
        said.findings += judge.findings
    return said


def _target(
    judge: Judge,
    work: Work,
    name: str,
    before: Built,
    now: Built,
    accepted: dict[tuple[str, tuple[str, ...]], bool | Message],
    flags: tuple[str, ...],
) -> Message | None:
    """Judge one target; why it was not, where it was not."""
    place, target = f"{name}:{now.line}", now.name
    if before.sources and not now.sources:
        what = _("nothing is compiled for target_arch {arch}", arch=judge.platform.architecture.names.get("npm", ""))
        judge.find("XC-ADV-092", Certainty.GUARDED, place, target=target, what=what)
    if not flags or judge.platform.architecture.triplet == work.baseline.architecture.triplet:
        return None
    there = _flags_taken(work, judge.platform.architecture, flags, accepted)
    here = _flags_taken(work, work.baseline.architecture, flags, accepted)
    if isinstance(there, Message) or isinstance(here, Message):
        return there if isinstance(there, Message) else here if isinstance(here, Message) else None
    if here and not there:
        refused = [f for f in flags if _flags_taken(work, judge.platform.architecture, (f,), accepted) is False]
        what = _("compilers for {machine} refuse {flags}", machine=judge.platform.architecture.uname,
            flags=verbatim(" ".join(refused or flags)))  # fmt: skip
        certainty = Certainty.GUARDED if now.unsure else Certainty.CERTAIN
        judge.find("XC-ADV-092", certainty, place, {"flags": refused}, target=target, what=what)
    return None


def _flags_taken(
    work: Work,
    architecture: Architecture,
    flags: tuple[str, ...],
    known: dict[tuple[str, tuple[str, ...]], bool | Message],
) -> bool | Message:
    """Whether a compiler for a machine takes flags, or why that is not known."""
    key = (architecture.triplet, flags)
    if key not in known:
        known[key] = _asked(work, architecture, flags)
    return known[key]


def _asked(work: Work, architecture: Architecture, flags: tuple[str, ...]) -> bool | Message:
    here = work.scratch / "gyp"
    out = here / "out"
    out.mkdir(parents=True, exist_ok=True)
    (out / "empty.c").write_text("int empty;\n", encoding="utf-8")
    try:
        zig = shutil.which(find_zig()) or find_zig()
        run = work.jail.run(
            [zig, "clang", f"--target={architecture.triplet}", *flags, "-fsyntax-only", str(out / "empty.c")],
            Sights(homes(zig, gnu=False), (out,)),
            scratch=here,
            cwd=out,
            env={"PATH": "/usr/bin:/bin", "HOME": str(out), "TMPDIR": str(out), "ZIG_GLOBAL_CACHE_DIR": str(out / "z")},
            timeout_s=work.budget.within(FLAGS_S),
        )
    except XcError as fault:
        return fault.what
    return run.finished.ok
