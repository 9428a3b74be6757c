"""What builds have handed to compilers, as translation units; each guise is run once, however many surveys ask."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shlex
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pytest_xinchuang.advise.builds import stand_in
from pytest_xinchuang.advise.builds.guise import Guise, guise_of, guise_of_baseline, library_places
from pytest_xinchuang.advise.builds.kinds import Build, Done, Outcome, builds_of, run_build
from pytest_xinchuang.advise.builds.settings import needed
from pytest_xinchuang.advise.builds.site import Site, open_site
from pytest_xinchuang.advise.builds.stops import Kind, Ran, Stop, loaders, page_sizes
from pytest_xinchuang.advise.c.host import HOST
from pytest_xinchuang.advise.c.units import Language, Unit, Units
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import Triple, triple_of
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import NOTHING, Message, _, both, joined, verbatim
from pytest_xinchuang.toolchain.builder import find_zig
from pytest_xinchuang.tools.versions import stamp

MOST_MADE = 20_000
"""Files that a build has made and that are kept: configured headers and generated sources are some hundred."""
LARGEST_MADE = 8 << 20
"""Bytes of one of them: as of a source."""
_NO_SOURCE = frozenset(
    {
        ".o",
        ".a",
        ".so",
        ".lo",
        ".la",
        ".d",
        ".Po",
        ".Tpo",
        ".Plo",
        ".xc",
        ".log",
        ".status",
        ".cache",
        ".pc",
        ".cmake",
        ".make",
    }
)
"""What a build makes and no compiler reads."""
_LANGUAGES = {
    "c": Language.C,
    "c++": Language.CXX,
    "assembler": Language.ASSEMBLER,
    "assembler-with-cpp": Language.ASSEMBLER_WITH_CPP,
}
_PATHS = ("-I", "-iquote", "-isystem", "-idirafter", "-include", "-imacros", "-B", "-L")
"""Options that name a file or a directory, in a word of its own or not."""
_RULES = ("-MD", "-MMD", "-MP", "-MG", "-MV", "-c", "-pipe", "-save-temps")
_RULES_APART = ("-MF", "-MT", "-MQ")


def guises(work: Work) -> dict[Triple, Guise]:
    """The guise of each triple: platforms that are alike to a compiler share their build."""
    found = {work.baseline: guise_of_baseline(work.baseline)}
    for platform in work.platforms:
        triple = triple_of(platform)
        found.setdefault(triple, guise_of(platform, triple))
    return found


def recorded(tree: SourceTree, work: Work, triple: Triple) -> Units | None:
    """The translation units of the tree for a triple, as its own build hands them to a compiler.

    Generated sources lie below ``work.scratch``; where generated headers seem to be is told by ``-ivfsoverlay``.

    Returns:
        None: no build was run, or none of them compiled anything.
    """
    guise = guises(work).get(triple)
    if not work.build or guise is None or not builds_of(tree):
        return None
    try:
        done = outcomes(tree, work, guise)
    except XcError:
        return None
    units: dict[tuple[str, Language], Unit] = {}
    by: list[Message] = []
    for outcome in done:
        fresh = {(u.source, u.language): u for u in outcome.units}
        if not fresh.keys() <= units.keys():
            by.append(verbatim(" ".join((outcome.build.file, *outcome.build.settings))))
        units = fresh | units
    if not units:
        return None
    ordered = tuple(units[key] for key in sorted(units))
    return Units(ordered, found=_("recorded from a build: {files}", files=joined(by)))


_LOCKS: dict[str, threading.Lock] = {}
_LOCKS_LOCK = threading.Lock()


def _lock(key: str) -> threading.Lock:
    with _LOCKS_LOCK:
        return _LOCKS.setdefault(key, threading.Lock())


def all_outcomes(tree: SourceTree, work: Work) -> dict[Triple, tuple[Outcome, ...] | Message]:
    """The builds of each triple, run side by side; a message where they could not be run."""
    wanted = guises(work)

    def one(guise: Guise) -> tuple[Outcome, ...] | Message:
        try:
            return outcomes(tree, work, guise)
        except XcError as fault:
            return fault.what

    with ThreadPoolExecutor(max_workers=max(1, min(work.jobs, len(wanted)))) as pool:
        return dict(zip(wanted, pool.map(one, wanted.values()), strict=True))


def outcomes(tree: SourceTree, work: Work, guise: Guise) -> tuple[Outcome, ...]:
    """The builds of a tree in a guise, with the settings that they need on x86-64 (settings.py).

    Raises:
        XcError: they cannot be run here.
    """
    return _outcomes(tree, work, guise, _builds(tree, work))


def _builds(tree: SourceTree, work: Work) -> tuple[Build, ...]:
    """The builds of a tree, chosen once in a run of ours."""
    base, place = guise_of_baseline(work.baseline), work.scratch / "settings" / f"{_digest(tree)[:24]}.json"
    with _lock(str(place)):
        if place.is_file():
            told = json.loads(place.read_text(encoding="utf-8"))
            return tuple(Build(kind, file, tuple(settings)) for kind, file, settings in told)
        chosen = needed(tree, work, lambda builds: _outcomes(tree, work, base, builds))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps([[b.kind, b.file, b.settings] for b in chosen]), encoding="utf-8")
        return chosen


def _outcomes(tree: SourceTree, work: Work, guise: Guise, builds: tuple[Build, ...]) -> tuple[Outcome, ...]:
    """Builds in a guise, each run once in a run of ours, and taken from what is kept where nothing has changed."""
    key = _key(tree, guise, builds)
    place = work.scratch / "builds" / key[:24]
    with _lock(str(place)):
        if (place / "outcomes.json").is_file():
            return _load(place, work.scratch, tree)
        kept = work.kept / "builds" / key if work.kept is not None else None
        if kept is not None and (kept / "outcomes.json").is_file():
            try:
                shutil.copytree(kept, place, dirs_exist_ok=True)
                return _load(place, work.scratch, tree)
            except (OSError, ValueError, KeyError, TypeError, shutil.Error):
                shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        found = _run(tree, work, guise, place, builds)
        if kept is not None and not any(o.ran.lost for o in found):
            _keep(place, kept)
        return found


def _run(tree: SourceTree, work: Work, guise: Guise, place: Path, builds: tuple[Build, ...]) -> tuple[Outcome, ...]:
    data: list[dict[str, Any]] = []
    for index, build in enumerate(builds):
        work.tell(f"{build.file} ({guise.uname})", index, len(builds))
        here = place / f"site{index}"
        site = open_site(tree, guise, work, here, work.baseline)
        done = run_build(build, site)
        made = _made(site, place / f"made{index}", tree)
        units = _units(site, done, set(made))
        data.append(_told(build, done.ran, units, made))
        shutil.rmtree(here, ignore_errors=True)
    (place / "outcomes.json").write_text(json.dumps(data), encoding="utf-8")
    return _load(place, work.scratch, tree)


def _keep(place: Path, kept: Path) -> None:
    part = kept.with_name(f"{kept.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        shutil.copytree(place, part)
        if kept.exists():
            shutil.rmtree(part)
        else:
            part.rename(kept)
    except (OSError, shutil.Error):  # it is run again the next time
        shutil.rmtree(part, ignore_errors=True)


@functools.lru_cache(8)
def _digest(tree: SourceTree) -> str:
    """Of all that a build can see of a tree."""
    digest = hashlib.sha256()
    for name in tree.files:
        path = tree.root / name
        try:
            with path.open("rb") as file:
                own = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{name}\0{own}{path.stat().st_mode & 0o111:o}\n".encode())
        except OSError:
            digest.update(f"{name}\0-\n".encode())
    return digest.hexdigest()


def _key(tree: SourceTree, guise: Guise, builds: tuple[Build, ...]) -> str:
    """What an outcome depends on: the tree and where it stands, the guise, the tools, and how we run them."""
    tools = [[name, *stamp(path)] for name in ("make", "cmake", "meson", "autoreconf") if (path := shutil.which(name))]
    tools.append(["zig", *stamp(find_zig())])
    tools += [
        [str(place), *sorted(path.name for path in place.iterdir())]
        for place in (HOST, *library_places())
        if place.is_dir()
    ]
    own = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        own.update(source.read_bytes())
    key = [_digest(tree), str(tree.root), guise.key, tools, own.hexdigest(), [build.settings for build in builds]]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()


# -- what the build has made


def _made(site: Site, place: Path, tree: SourceTree) -> list[str]:
    """Keep what the build has made or changed and a compiler may read; their names in the tree."""
    found: list[str] = []
    for directory, below, names in os.walk(site.copy):
        below[:] = [
            name
            for name in sorted(below)
            if name not in ("CMakeFiles", "meson-private", "meson-logs", "autom4te.cache")
        ]
        for name in sorted(names):
            path = Path(directory, name)
            relative = path.relative_to(site.copy).as_posix()
            if path.suffix in _NO_SOURCE or path.is_symlink() or not path.is_file() or len(found) >= MOST_MADE:
                continue
            size = path.stat().st_size
            if size > LARGEST_MADE:
                continue
            data = path.read_bytes()
            if data.startswith((b"\x7fELF", b"!<arch>", b"#!")):
                continue
            if (
                relative in tree
                and (tree.root / relative).stat().st_size == size
                and (tree.root / relative).read_bytes() == data
            ):
                continue
            (place / relative).parent.mkdir(parents=True, exist_ok=True)
            (place / relative).write_bytes(data)
            found.append(relative)
    return found


def _overlay(place: Path, root: Path, made: Iterable[str]) -> Path:
    """Write what has clang see the made files in the tree (LLVM, RedirectingFileSystem: a file of this form may be JSON)."""
    roots = [{"type": "file", "name": f"{root}/{name}", "external-contents": str(place / name)} for name in made]
    data = {"version": 0, "case-sensitive": True, "use-external-names": True, "roots": roots}
    path = place / "xc-overlay.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def _units(site: Site, done: Done, made: set[str]) -> list[dict[str, Any]]:
    """The sources of the calls that were written down, and of compile_commands.json for what was not compiled any more."""
    units: dict[str, dict[str, Any]] = {}
    calls = [c for c in done.ran.calls if c.get("t") == "cc" and c.get("k") in ("kept", "refused")]
    for call in [*_commands(site, done.commands), *calls]:
        for unit in _of_call(site, call, made):
            units[f"{unit['source']} {unit['language']}"] = unit
    return list(units.values())


def _commands(site: Site, name: str) -> Iterator[dict[str, Any]]:
    """The calls in a compile_commands.json (Clang, JSON Compilation Database)."""
    if not name:
        return
    try:
        entries = json.loads((site.copy / name).read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError):
        return
    for entry in entries if isinstance(entries, list) else ():
        try:
            words = [str(w) for w in entry["arguments"]] if "arguments" in entry else shlex.split(entry["command"])
            yield {"a": words[1:], "d": str(entry["directory"]), "x": words[0].endswith("++"), "r": []}
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            continue


def _of_call(site: Site, call: Mapping[str, Any], made: set[str]) -> Iterator[dict[str, Any]]:
    try:
        words, here = [str(w) for w in call["a"]], str(call["d"])
        parsed = stand_in.Call(words, bool(call["x"]))
        refused = {str(w) for w in call.get("r", ())}
    except (KeyError, TypeError):
        return
    flags = _rooted(
        [w for w in stand_in.without(parsed.flags, _RULES_APART) if w not in _RULES and w not in refused], here
    )
    for name, language in parsed.sources:
        relative = _in_copy(site, _at(here, name))
        if language not in _LANGUAGES or relative is None or stand_in.in_scratch(relative):
            continue
        if relative not in made and relative not in site.tree:
            continue
        words = [w.replace(f"{site.copy}/", "{root}/").replace(str(site.copy), "{root}") for w in flags]
        directory = _in_copy(site, here) or ""
        there = (site.tree.root / directory).is_dir()
        yield {
            "source": relative,
            "made": relative in made and relative not in site.tree,
            "directory": "" if directory == "." or not there else directory,
            "words": words,
            "language": language,
        }


def _at(here: str, path: str) -> str:
    """A path as it is from a directory; what of it a link is, is not looked at."""
    return os.path.normpath(f"{here}/{path}" if not path.startswith("/") else path)


def _in_copy(site: Site, path: str) -> str | None:
    if path == str(site.copy):
        return ""
    return path[len(str(site.copy)) + 1 :] if path.startswith(f"{site.copy}/") else None


def _rooted(flags: list[str], here: str) -> list[str]:
    """Flags whose paths begin at the root: the directory in which they were given may be one that the build has made."""
    found: list[str] = []
    for index, word in enumerate(flags):
        if index and flags[index - 1] in _PATHS:
            found.append(_at(here, word))
            continue
        option = next((o for o in _PATHS if word.startswith(o) and word != o), None)
        if option is None or option in ("-include", "-imacros") or (option == "-B" and "/" not in word):
            found.append(word)
        else:
            rest = word[len(option) :]
            found.append(option + _at(here, rest))
    return found


# -- on disk


def _told(build: Build, ran: Ran, units: list[dict[str, Any]], made: list[str]) -> dict[str, Any]:
    calls = [c for c in ran.calls if c.get("t") in ("started", "gone", "reads")]
    calls += [
        {k: c[k] for k in ("t", "n", "k", "c", "r", "a") if k in c}
        for c in ran.calls
        if c.get("t") in ("cc", "ld") and (c.get("c") or c.get("r") or page_sizes(c) or loaders(c))
    ]
    return {
        "build": [build.kind, build.file, list(build.settings)],
        "whole": ran.whole,
        "stops": [[s.kind, s.file, s.line, s.said, s.target, list(s.refused)] for s in ran.stops],
        "calls": calls,
        "seen": dict(ran.seen),
        "unstarted": ran.unstarted,
        "without": list(ran.without),
        "whole_without": ran.whole_without,
        "lost": ran.lost.render("en") if ran.lost else "",
        "lost_zh": ran.lost.render("zh") if ran.lost else "",
        "units": units,
        "made": made,
    }


def _load(place: Path, scratch: Path, tree: SourceTree) -> tuple[Outcome, ...]:
    found = []
    for index, told in enumerate(json.loads((place / "outcomes.json").read_text(encoding="utf-8"))):
        made = _by_content(place / f"made{index}", scratch, told["made"])
        overlay = _overlay(made, tree.root, told["made"]) if told["made"] else None
        units = tuple(_unit(u, tree, made, overlay) for u in told["units"])
        stops = tuple(Stop(Kind(s[0]), s[1], s[2], s[3], s[4], tuple(s[5])) for s in told["stops"])
        lost = both({"en": told["lost"], "zh": told["lost_zh"]}) if told["lost"] else NOTHING
        ran = Ran(
            told["whole"],
            stops,
            tuple(told["calls"]),
            told["seen"],
            told["unstarted"],
            lost,
            without=tuple(told["without"]),
            whole_without=told["whole_without"],
        )
        kind, file, settings = told["build"]
        found.append(Outcome(Build(kind, file, tuple(settings)), ran, units))
    return tuple(found)


def _by_content(place: Path, scratch: Path, made: Iterable[str]) -> Path:
    """What a build has made, in a directory that is named for what it holds: answers about it are kept between runs."""
    digest = hashlib.sha256()
    for name in made:
        digest.update(f"{name}\0{hashlib.sha256((place / name).read_bytes()).hexdigest()}\n".encode())
    known = scratch / f"made-{digest.hexdigest()[:24]}"
    if made and not known.exists():
        part = scratch / f"{known.name}.{threading.get_ident()}"
        shutil.copytree(place, part)
        try:
            part.rename(known)
        except OSError:  # another guise has made the same meanwhile
            shutil.rmtree(part, ignore_errors=True)
    return known


def _unit(told: Mapping[str, Any], tree: SourceTree, made: Path, overlay: Path | None) -> Unit:
    words = [w.replace("{root}", str(tree.root)) for w in told["words"]]
    source = told["source"]
    if told["made"]:
        # Its own directory in the tree is looked into as for any source.
        words = ["-iquote", str((tree.root / source).parent), *words]
    if overlay is not None:
        words = ["-ivfsoverlay", str(overlay), *words]
    return Unit(
        str(made / source) if told["made"] else source, told["directory"], tuple(words), _LANGUAGES[told["language"]]
    )
