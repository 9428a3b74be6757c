"""Container images that are fixed to one machine: Dockerfiles, compose files and workflows, as they are written.

Whether an image is part of what is delivered, or a developer's help, no file says, and nothing is built here: none of it is
certain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Arch, Architecture, Platform
from pytest_xinchuang.inspect.roles import architecture_named
from pytest_xinchuang.messages import _
from pytest_xinchuang.tools.dockerfile import NAMES, Instruction, assignments, filled, instructions

COMPOSE = ("docker-compose*.yml", "docker-compose*.yaml", "compose*.yml", "compose*.yaml")
MOST_FILES = 200
LARGEST_YAML = 1 << 20
"""Bytes of a compose file or a workflow that is read."""

Reader = Callable[[str, Mapping[Arch, Architecture]], Iterator["Fixed"]]

_URL = re.compile(r"(?:https?|ftp)://[^\s\"'`|;)<>\\]+")
_OF_BUILDKIT = ("TARGETARCH", "TARGETPLATFORM", "TARGETVARIANT", "BUILDARCH", "BUILDPLATFORM")
"""What BuildKit says of the machine (Dockerfile reference, automatic platform ARGs)."""
_ASKS = re.compile(
    r"\bTARGET(?:ARCH|PLATFORM)\b|\buname\b|--print-architecture|\$\(arch\)|`arch`|%\{?_arch|\bapk\s+--print-arch|\bHOSTTYPE\b"
)
"""A command that asks for the machine: it may choose by the answer."""
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_HUB = re.compile(r"^(?:docker\.io/)?(amd64|arm64v8|i386|loong64)/")
"""Docker Hub's namespaces of images for one machine (docker-library/official-images, Architectures other than amd64)."""


@dataclass(frozen=True)
class Fixed:
    """A place that names one machine.

    Attributes:
        arch: the machine that is named; None: it has to be asked for.
        code: of the finding.
    """

    code: str
    certainty: Certainty
    line: int
    arch: str | None
    params: dict[str, str] = field(default_factory=dict)


def of_dockerfile(text: str, architectures: Mapping[Arch, Architecture]) -> Iterator[Fixed]:
    """What of a Dockerfile names one machine."""
    values: dict[str, str] = {}
    stages: set[str] = set()
    for one in instructions(text):
        words = filled(one.words, values)
        if one.name in ("ARG", "ENV"):
            for name, value in assignments(one.words):
                if name not in _OF_BUILDKIT:
                    values[name] = filled(value, values)
        elif one.name == "FROM":
            yield from _of_from(one, words, stages, architectures)
        elif one.name in ("ADD", "RUN") and not (one.name == "RUN" and _chooses(words, architectures)):
            for url in dict.fromkeys(_URL.findall(words)):
                named = architecture_named(url, architectures)
                if named is not None:
                    yield Fixed("XC-ADV-050", Certainty.GUARDED, one.line, named, {"url": url[:200]})


def _chooses(words: str, architectures: Mapping[Arch, Architecture]) -> bool:
    """Whether a command asks for the machine, or names several."""
    if _ASKS.search(words):
        return True
    named = {architecture_named(word, architectures) for word in re.split(r"[\s;|&]+", words)}
    return len(named - {None}) > 1


def _of_from(
    one: Instruction, words: str, stages: set[str], architectures: Mapping[Arch, Architecture]
) -> Iterator[Fixed]:
    parts = words.split()
    flags = [w for w in parts if w.startswith("--")]
    rest = [w for w in parts if not w.startswith("--")]
    if not rest:
        return
    image = rest[0]
    if len(rest) >= 3 and rest[1].lower() == "as":
        stages.add(rest[2].lower())
    fixed = next((w.partition("=")[2] for w in flags if w.startswith("--platform=")), "")
    named = architecture_named(fixed, architectures) if "$" not in fixed else None
    if named is not None:
        yield Fixed("XC-ADV-049", Certainty.GUARDED, one.line, named, {"what": f"--platform={fixed}"})
    elif (of_hub := _HUB.match(image)) and (named := architecture_named(of_hub[1], architectures)) is not None:
        yield Fixed("XC-ADV-049", Certainty.GUARDED, one.line, named, {"what": image[:200]})
    elif _DIGEST.search(image) and image.lower() not in stages:
        yield Fixed("XC-ADV-051", Certainty.UNDECIDED, one.line, None, {"image": image[:200]})


def of_compose(text: str, architectures: Mapping[Arch, Architecture]) -> Iterator[Fixed]:
    """The services of a compose file whose platform is fixed (Compose specification, services, platform)."""
    for key, value, line in _scalars(text):
        if len(key) >= 3 and key[-3] == "services" and key[-1] == "platform":
            named = architecture_named(value, architectures)
            if named is not None:
                yield Fixed("XC-ADV-049", Certainty.GUARDED, line, named, {"what": f"platform: {value}"})


def of_workflow(text: str, architectures: Mapping[Arch, Architecture]) -> Iterator[Fixed]:
    """Images that a workflow builds for one machine alone (docker/build-push-action, input platforms)."""
    for key, value, line in _scalars(text):
        if len(key) >= 2 and key[-2:] == ("with", "platforms"):
            named = architecture_named(value, architectures)
            if named is not None:
                yield Fixed("XC-ADV-052", Certainty.NOTE, line, named, {"what": f"platforms: {value[:200]}"})


def _scalars(text: str) -> Iterator[tuple[tuple[str, ...], str, int]]:
    """The scalars of a YAML text: keys on the way, value, line; nothing where it is none."""
    if len(text) > LARGEST_YAML:
        return
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return
    queue: list[tuple[tuple[str, ...], yaml.Node | None]] = [((), root)]
    seen: set[int] = set()
    while queue:
        key, node = queue.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield key, str(node.value), node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            queue += [((*key, str(k.value) if isinstance(k, yaml.ScalarNode) else ""), v) for k, v in node.value]
        elif isinstance(node, yaml.SequenceNode):
            queue += [(key, value) for value in node.value]


class ImagesSurvey:
    """Reads what containers are made of."""

    name = "images"

    def applies(self, tree: SourceTree) -> bool:
        return bool(_files(tree))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        surveyed = Surveyed()
        architectures = work.architectures
        files = _files(tree)
        read = 0
        for name, reader in files[:MOST_FILES]:
            text = tree.text(name)
            if text is None:
                continue
            read += 1
            fixed = list(reader(text, architectures))
            for platform in work.platforms:
                surveyed.findings += [_finding(name, one, platform) for one in fixed if one.arch != platform.arch]
        left = len(files) - read
        why = ((_("it is too large, or no text"), left),) if left else ()
        part = Part(_("container images"), read, len(files), found=_("as they are written"), why=why)
        surveyed.add((p.id for p in work.platforms), part)
        return surveyed


def _finding(name: str, one: Fixed, platform: Platform) -> Finding:
    params = {**one.params, "named": one.arch or "", "machine": platform.architecture.uname}
    oci = platform.architecture.names.get("oci", platform.arch.value)
    return Finding(one.code, one.certainty, f"{name}:{one.line}", platform.id, {**params, "oci": oci})


def _files(tree: SourceTree) -> list[tuple[str, Reader]]:
    found: list[tuple[str, Reader]] = [(name, of_dockerfile) for name in tree.named(*NAMES)]
    found += [(name, of_compose) for name in tree.named(*COMPOSE)]
    found += [
        (name, of_workflow)
        for name in tree.files
        if name.startswith(".github/workflows/") and name.endswith((".yml", ".yaml"))
    ]
    return found
