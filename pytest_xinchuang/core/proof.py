"""What a journal says of the suite that wrote it, against the suite that reads it.

A journal's head is as good as the file: whoever writes the file anew may leave requirements out, lower their levels, or
say that a platform's facts are those that were shipped. All of that stands in the
installed suite as well, and is compared with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang import __version__
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.events import GradedPlatform, OwnFile, Required, RunStarted
from pytest_xinchuang.core.order import foreign, key_of
from pytest_xinchuang.core.platform import Platforms, load_platforms
from pytest_xinchuang.core.profile import Profile, load_profiles
from pytest_xinchuang.core.record import Journal
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Verdict
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import Message, _, joined, n_, verbatim

SUITE = "pytest-xinchuang"

_MOST = 20
"""So many differences are told."""
_SHOWN = 8
"""So many names are told in one sentence."""


@dataclass(frozen=True)
class Known:
    """The suite that reads a journal."""

    catalogue: Catalogue
    platforms: Platforms
    profiles: Mapping[str, Profile]
    version: str = __version__

    @classmethod
    def installed(cls, catalogue: Catalogue) -> Known:
        """The suite of this installation, with the catalogue of its packages.

        Raises:
            DataFileError: a file of it is malformed.
        """
        profiles = load_profiles(resources.conformance_dir() / "profiles.yaml")
        return cls(catalogue, load_platforms(resources.platforms_file()), profiles)


def own_file(path: Path, ids: tuple[str, ...] = ()) -> OwnFile:
    """A file that the run brought along, as the journal has it."""
    return OwnFile(name=path.name, digest="sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(), ids=ids)


def own_catalogue(path: Path) -> OwnFile:
    """A catalogue file that the run brought along.

    Raises:
        DataFileError: it is malformed.
    """
    return own_file(path, tuple(r.id for r in YamlFile(path).parse(Catalogue).requirements))


def prove(journal: Journal, known: Known) -> None:
    """Hold a journal against the installed suite: what differs is a problem, what the run brought along is a note.

    A journal without a chain has no grade anyhow, and is left alone.
    """
    if not journal.head:
        return
    started = journal.started
    if (started.suite.name, started.suite.version) != (SUITE, known.version):
        journal.refuse(
            _(
                "it was written by {name} {version}, and this is {suite} {installed}: only the same version knows "
                "what had to be demanded",
                name=started.suite.name,
                version=started.suite.version,
                suite=SUITE,
                installed=known.version,
            )
        )
        return
    wrong = [
        *_requirements(started, known.catalogue),
        *_profile(started, known),
        *(text for platform in started.platforms for text in _platform(platform, started, known)),
    ]
    for text in wrong[:_MOST]:
        journal.refuse(_("run_started: {what}", what=text))
    if len(wrong) > _MOST:
        journal.refuse(n_("and {n} problem more", "and {n} problems more", len(wrong) - _MOST))
    platforms = frozenset(known.platforms.ids)
    for decision in (d for decisions in journal.decisions.values() for d in decisions if d.verdict is Verdict.PASS):
        if why := foreign(journal, decision, platforms):
            journal.doubts.setdefault(key_of(decision), why)
    journal.notes += [*map(_own, started.own_requirements), *map(_facts, started.platform_files)]


def _requirements(started: RunStarted, catalogue: Catalogue) -> Iterator[Message]:
    expected = {r.id: Required.model_validate(r.model_dump()) for r in catalogue.of(frozenset(started.packages))}
    own = {identifier for file in started.own_requirements for identifier in file.ids}
    found: dict[str, Required] = {}
    for item in started.required:
        if item.id in found:
            yield _("the requirement {id} is there twice", id=item.id)
        found[item.id] = item
        if item.package not in started.packages:
            packages = joined(started.packages, _(", "))
            yield _(
                "{id} is of the package {name}; the run has {packages}",
                id=item.id,
                name=item.package,
                packages=packages,
            )
        elif item.id in expected:
            yield from _differences(item, expected[item.id])
        elif catalogue.get(item.id) is not None or item.id not in own:
            yield _("{id} is not in the catalogue of the package {name}", id=item.id, name=item.package)
    for identifier in expected.keys() - found.keys():
        yield _(
            "the requirement {id} is missing; the catalogue of the package {name} has it",
            id=identifier,
            name=expected[identifier].package,
        )
    for package in started.packages:
        if all(item.package != package for item in started.required):
            yield _("the package {name} has no requirement in it", name=package)
    if not started.own_requirements and started.suite.digest != catalogue.digest:
        yield _unlike(verbatim("suite.digest"), started.suite.digest, catalogue.digest)


def _differences(found: Required, expected: Required) -> Iterator[Message]:
    if found == expected:
        return
    ours, theirs = (item.model_dump(mode="json") for item in (expected, found))
    for name, value in ours.items():
        if theirs[name] != value:
            yield _unlike(verbatim(f"{name} / {found.id}"), theirs[name], value)


def _unlike(what: Message, found: object, expected: object) -> Message:
    return _(
        "{what} is {found}, and {expected} was expected",
        what=what,
        found=verbatim(str(found)[:200]),
        expected=verbatim(str(expected)[:200]),
    )


def _profile(started: RunStarted, known: Known) -> Iterator[Message]:
    profile = known.profiles.get(started.profile.id)
    if profile is None:
        yield _("there is no profile {name}", name=started.profile.id)
        return
    if started.profile.required_level is not profile.required_level:
        yield _unlike(verbatim("profile.required_level"), started.profile.required_level, profile.required_level)
    if started.profile.title != profile.title:
        yield _unlike(verbatim("profile.title"), started.profile.title, profile.title)


def _platform(platform: GradedPlatform, started: RunStarted, known: Known) -> Iterator[Message]:
    if platform.facts == "overridden":
        if not started.platform_files:
            yield _("the facts of {platform} are overridden, and no file is named that does so", platform=platform.id)
        return
    if platform.id not in known.platforms.ids:
        yield _("the suite has no platform {platform}", platform=platform.id)
        return
    shipped = known.platforms.get(platform.id)
    expected = GradedPlatform(
        id=shipped.id,
        digest=shipped.digest,
        arch=shipped.arch.value,
        uname=shipped.architecture.uname,
        facts="shipped",
        cpu=shipped.cpu.title,
        system=shipped.system.title,
    )
    if platform != expected:
        ours, theirs = (item.model_dump(mode="json") for item in (expected, platform))
        for name, value in ours.items():
            if theirs[name] != value:
                yield _unlike(verbatim(f"{name} / {platform.id}"), theirs[name], value)


def _own(file: OwnFile) -> Message:
    shown = joined([verbatim(name) for name in file.ids[:_SHOWN]], _(", "))
    if len(file.ids) > _SHOWN:
        shown = _("{names} and {n} more", names=shown, n=len(file.ids) - _SHOWN)
    return _(
        "not requirements of the suite, but of {file} ({digest}): {ids}", file=file.name, digest=file.digest, ids=shown
    )


def _facts(file: OwnFile) -> Message:
    return _(
        "facts of {file} ({digest}) were merged over the platforms of the suite", file=file.name, digest=file.digest
    )
