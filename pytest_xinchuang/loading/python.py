"""Imports wheels by a real Python, of the version that they are for, under the platform's CPU.

The Python is the one of the platform's root filesystem, or of a Debian suite that has the version: its C library may be another
than the platform's, and what needs which symbol version is not decided here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.delivery import installed_path
from pytest_xinchuang.inspect.kept import Kept
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.loading.interpreters import root_filesystems, with_packages
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import WORK_DIR, Limits, Sandbox

SUITES = {"bullseye": (3, 9), "bookworm": (3, 11), "trixie": (3, 13), "forky": (3, 14)}
"""Debian's suites and their Python (the package python3 of the pinned indexes)."""

PACKAGES = ("python3",)

PROBE = Path(__file__).with_name("inside") / "imports.py"
SITE = f"{WORK_DIR}/site"
_ASKED = f"{WORK_DIR}/.probe/asked.json"
_REPORT = f"{WORK_DIR}/.probe/imports"

SECONDS_EACH, SECONDS_ALL = 30, 300
"""For one module, and for all of a delivery."""
LARGEST = 400 << 20
"""Bytes of the wheels that are unpacked in a sandbox."""
MOST_MODULES = 500


_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_OF_VERSION = re.compile(r"\.(?:cpython-(?P<number>3[0-9]+)-[\w-]+|abi3)\.so$|\.so$")


@dataclass
class Importing:
    """A wheel, and the modules of it that an import tries.

    Attributes:
        packages: its packages and modules at the top, of those with an extension.
        modules: name -> the extension.
        paths: where its objects are once it is installed.
    """

    node: Node
    packages: list[str]
    modules: dict[str, ElfRecord]
    paths: dict[str, ElfRecord]


@dataclass
class Imported:
    """What came of one wheel.

    Attributes:
        by: the Python, and where it is from; empty: there was none, for the reason ``why``.
        done: the extensions that were imported, by ``id``.
        refused: extensions that this Python refuses, and what it says.
        died: (first extension, the probe's line about the signal).
        raised: what importing a package raised, where nothing was missing.
        waiting: modules of others that are not delivered.
    """

    wheel: Node
    by: Message = NOTHING
    why: Message = NOTHING
    done: set[int] = field(default_factory=set)
    refused: list[tuple[ElfRecord, str]] = field(default_factory=list)
    died: list[tuple[ElfRecord, str]] = field(default_factory=list)
    raised: list[tuple[str, str]] = field(default_factory=list)
    waiting: set[str] = field(default_factory=set)
    count: int = 0


def wheels_of(root: Node, taken: set[int]) -> Iterator[Importing]:
    """The wheels with extensions that the platform takes."""
    for node in root.walk():
        if node.kind != "wheel":
            continue
        mine = [record for record in node.objects if id(record) in taken]
        paths = {installed_path(record.path): record for record in mine}
        modules = {}
        for path, record in paths.items():
            match = _OF_VERSION.search(path)
            name = path[: match.start()].replace("/", ".") if match is not None else ""
            if _NAME.fullmatch(name) and f"PyInit_{name.rpartition('.')[2]}" in record.elf.exports:
                modules[name] = record
        if modules:
            tops = sorted({name.partition(".")[0] for name in modules if "." in name})
            known = {installed_path(member) for member in node.members}
            yield Importing(node, [top for top in tops if f"{top}/__init__.py" in known], modules, paths)


def fits(wheel: str, python: tuple[int, int]) -> bool:
    """Whether the tags of a wheel, by its file name, are for a Python (PEP 425)."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        tags = parse_wheel_filename(wheel.rpartition("/")[2])[3]
    except InvalidWheelFilename:
        return False
    for tag in tags:
        if tag.interpreter in ("py3", f"py3{python[1]}", f"cp3{python[1]}"):
            return True
        if tag.abi == "abi3" and tag.interpreter.startswith("cp3") and int(tag.interpreter[3:] or 0) <= python[1]:
            return True
    return False


def _is_for(node: Node, taken: set[int]) -> bool:
    """Whether a wheel is for the platform: it has objects for it, or none at all."""
    return not node.objects or any(id(record) in taken for record in node.objects)


class Python:
    """Imports the wheels of a delivery.

    Args:
        pool: where the platform's own sandbox is.
        probe: the object that tells where a signal struck.
    """

    def __init__(self, pool: Pool, platform: Platform, kept: Kept, probe: Callable[[], bytes]) -> None:
        self._pool, self._platform, self._kept, self._probe = pool, platform, kept, probe

    def imports(self, root: Node, taken: set[int]) -> list[Imported]:
        """What came of each wheel."""
        done: list[Imported] = []
        left = list(wheels_of(root, taken))
        if not left:
            return []
        for rootfs, suite in root_filesystems(self._pool, self._platform):
            python = SUITES.get(suite)
            if python is None:
                continue
            mine = [each for each in left if fits(each.node.name, python)]
            if not mine:
                continue
            left = [each for each in left if each not in mine]
            others = [n for n in root.walk() if n.kind == "wheel" and fits(n.name, python) and _is_for(n, taken)]
            try:
                done += self._by(rootfs, mine, others)
            except HostFault as fault:
                done += [Imported(each.node, why=fault.what, count=len(each.modules)) for each in mine]
        why = _("there is no Python here of its version")
        return [*done, *(Imported(each.node, why=why, count=len(each.modules)) for each in left)]

    def _by(self, rootfs: str, wheels: Sequence[Importing], others: Sequence[Node]) -> list[Imported]:
        with with_packages(self._pool, self._platform, rootfs, PACKAGES) as sandbox:
            return self._in(sandbox, wheels, others)

    def _in(self, sandbox: Sandbox, wheels: Sequence[Importing], others: Sequence[Node]) -> list[Imported]:
        """Import wheels beside all that are delivered for the same Python."""
        results = {each.node.place: Imported(each.node, count=len(each.modules)) for each in wheels}
        files: list[str] = []
        left = LARGEST
        for node in others:
            data = self._kept.wheel(node)
            if data is not None and len(data) <= left:
                left -= len(data)
                files.append(f"{WORK_DIR}/w/{len(files)}.whl")
                sandbox.put(files[-1], data)
            elif node.place in results:
                results[node.place].why = _("it is too large to be kept")
        able = [each for each in wheels if not results[each.node.place].why]
        modules = [name for each in able for name in (*each.packages, *sorted(each.modules))][:MOST_MODULES]
        asked = {"wheels": files, "modules": modules, "site": SITE, "seconds": SECONDS_EACH}
        sandbox.put(_ASKED, json.dumps(asked).encode())
        sandbox.put(_REPORT, b"")
        sandbox.put(f"{WORK_DIR}/.probe/start", self._probe(), executable=True)
        sandbox.put(f"{WORK_DIR}/.probe/imports.py", PROBE.read_bytes())
        outcome = sandbox.run(
            ["/usr/bin/python3", "-B", f"{WORK_DIR}/.probe/imports.py", _ASKED],
            env={"LD_PRELOAD": f"{WORK_DIR}/.probe/start", "XC_PROBE": _REPORT, "XC_RUN": "1", "HOME": WORK_DIR},
            limits=Limits(wall_s=min(SECONDS_ALL, 60 + 20 * len(able)), memory_mb=2048),
        )
        lines = sandbox.get(_REPORT).decode("utf-8", "replace").splitlines()
        ready = next((line.partition("\t")[2] for line in lines if line.startswith("ready\t")), "")
        for each in able:
            result = results[each.node.place]
            if ready:
                result.by = _("Python {version} ({rootfs})", version=ready, rootfs=verbatim(sandbox.fingerprint.rootfs))
                read_report(lines, each, result)
            else:
                result.why = _("Python did not start: {how}", how=outcome.describe_with_tail())
        return list(results.values())


def read_report(lines: Sequence[str], wheel: Importing, result: Imported) -> None:
    """Take what the probe has written about one wheel."""
    mine, current = {*wheel.packages, *wheel.modules}, ""
    for line in lines:
        word, *rest = line.split("\t")
        if word == "begin" and rest:
            current = rest[0]
        elif current not in mine:
            continue
        elif word == "ok" and rest and rest[0] in wheel.modules:
            result.done.add(id(wheel.modules[rest[0]]))
        elif word == "error" and len(rest) == 4:
            _take_error(rest, wheel, result)
        elif word.startswith("signal "):
            first = wheel.modules.get(current) or next(iter(wheel.modules.values()))
            result.died.append((first, word))


def _take_error(words: Sequence[str], wheel: Importing, result: Imported) -> None:
    name, kind, missing, text = words
    record = wheel.modules.get(name)
    if kind == "ModuleNotFoundError":
        result.waiting.add(missing.partition(".")[0] or name)
    elif kind == "ImportError" and record is not None and "undefined symbol" in text:
        result.refused.append((record, text))
    elif record is None and kind != "ImportError":
        result.raised.append((name, f"{kind}: {text}"))


def by_path(wheels: Sequence[Importing]) -> Mapping[str, ElfRecord]:
    """Where the objects of wheels stand in the sandbox."""
    return {f"{SITE}/{path}": record for each in wheels for path, record in each.paths.items()}


def summary(imported: Sequence[Imported]) -> list[tuple[Node, dict[str, Any]]]:
    """For each wheel what is to be told of it."""
    found = []
    for each in imported:
        params: dict[str, Any] = {
            "done": len(each.done),
            "all": each.count,
            "by": each.by or _("a stand-in for Python"),
        }
        why = each.why
        if not why and each.waiting:
            why = _("{names} is not delivered", names=verbatim(", ".join(sorted(each.waiting)[:5])))
        if not why and each.died:
            why = _("a signal ended the others")
        whole = len(each.done) == each.count
        params["why"] = why or (
            _("all that it imports is there") if whole else _("the others did not come to their end")
        )
        found.append((each.wheel, params))
    return found
