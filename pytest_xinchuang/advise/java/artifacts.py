"""Artifacts that Maven and Gradle take by a classifier or as a program of the build: whether there is one for a platform.

Sources: the Maven POM reference (dependency: classifier, type), os-maven-plugin (``os.detected.classifier``: linux-x86_64,
linux-aarch_64, linux-loongarch_64), protobuf-gradle-plugin (``artifact``), the layout of a Maven 2 repository.
"""

from __future__ import annotations

import functools
import re
import tomllib
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pytest_xinchuang.advise.aside import is_aside
from pytest_xinchuang.advise.registries import Registry, asked
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.advise.xml import Element, read_xml
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.tools.defaults import address

_BUILDS = ("pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")
PROGRAMS = ("com.google.protobuf:protoc", "io.grpc:protoc-gen-grpc-java", "io.grpc:protoc-gen-grpc-kotlin",
    "com.salesforce.servicelibs:reactor-grpc")  # fmt: skip
"""Programs that protobuf-gradle-plugin fetches for the machine of the build where their classifier is not written."""
_DETECTED = "${os.detected.classifier}"
"""os-maven-plugin: the classifier of the machine that builds."""
_PLAIN = re.compile(r"[\w.\-]+")
_DEPTH = 8
"""How deep properties may name each other."""


@dataclass(frozen=True)
class Artifact:
    """An artifact with a classifier.

    Attributes:
        version, classifier: "" or with ``${`` where they are not known.
        extension: "jar", or "exe" for a program that the build runs.
        place: ``FILE:LINE``.
    """

    group: str
    name: str
    version: str
    classifier: str
    extension: str
    place: str

    @property
    def known(self) -> bool:
        return all(_PLAIN.fullmatch(word) for word in (self.group, self.name, self.version))

    def told(self) -> str:
        return f"{self.group}:{self.name}:{self.version}"

    def path(self, classifier: str) -> str:
        """Its place in a repository."""
        directory = f"{self.group.replace('.', '/')}/{self.name}/{self.version}"
        return f"{directory}/{self.name}-{self.version}-{classifier}.{self.extension}"


def builds_of(tree: SourceTree) -> list[str]:
    """The files that say what a build takes."""
    return tree.named(*_BUILDS)


def plain_of(tree: SourceTree) -> set[str]:
    """The dependencies without a classifier, as GROUP:NAME: of Maven's files by their elements, of Gradle's by coordinates.

    A build of Gradle that has dependencies of which nothing can be read stands for itself, by its name.
    """
    found: set[str] = set()
    for name in tree.named("pom.xml"):
        try:
            root = read_xml(tree.text(name) or "")
        except ValueError:
            continue
        for one in root.walk():
            if one.name == "dependency" and not one.said("classifier") and one.said("scope") not in ("test", "import"):
                found.add(f"{one.said('groupId')}:{one.said('artifactId')}")
    for name in tree.named("*.versions.toml"):
        found |= set(_catalogued(tree.text(name) or ""))
    catalogued = bool(found)
    for name in tree.named("*.gradle", "*.gradle.kts"):
        text = _COMMENT.sub(" ", tree.text(name) or "")
        written = list(_COORDINATE.finditer(text))
        found |= {f"{m[1]}:{m[2]}" for m in written if not m[4] and f"{m[1]}:{m[2]}" not in PROGRAMS}
        apart = {f"{group}:{artifact}" for group, artifact in _APART.findall(text)}
        found |= apart
        if not (written or apart or catalogued) and _TAKES.search(text):
            found.add(name)
    return found


def _catalogued(text: str) -> Iterator[str]:
    """The libraries of a version catalog (Gradle's user manual, Version Catalogs, the TOML format)."""
    try:
        libraries = tomllib.loads(text).get("libraries") or {}
    except ValueError:
        return
    for said in libraries.values() if isinstance(libraries, dict) else ():
        if isinstance(said, str):
            yield said.rpartition(":")[0]
        elif isinstance(said, dict):
            yield str(said.get("module") or f"{said.get('group')}:{said.get('name')}")


def artifacts_of(tree: SourceTree) -> tuple[list[Artifact], list[str]]:
    """The artifacts with classifiers of Linux, and the files that cannot be read."""
    found: dict[Artifact, None] = {}
    broken = []
    poms: dict[str, Element] = {}
    for name in (n for n in tree.named("pom.xml") if not is_aside(n)):
        try:
            poms[name] = read_xml(tree.text(name) or "")
        except ValueError:
            broken.append(name)
    properties: dict[str, str] = {}
    for pom in poms.values():
        own = pom.child("properties")
        properties |= {p.name: p.text for p in (own.children if own is not None else ())}
        version = pom.said("version") or (pom.child("parent") or pom).said("version")
        properties.setdefault("project.version", version)
    for name, pom in poms.items():
        found |= dict.fromkeys(_of_pom(name, pom, properties))
    for name in tree.named("*.gradle", "*.gradle.kts"):
        found |= dict.fromkeys(_of_gradle(name, tree))
    return list(found), broken


def _of_pom(name: str, pom: Element, properties: Mapping[str, str]) -> Iterator[Artifact]:
    managed = {
        (d.said("groupId"), d.said("artifactId")): d.said("version")
        for m in pom.walk()
        if m.name == "dependencyManagement"
        for d in m.walk()
        if d.name == "dependency"
    }
    fill = functools.partial(_filled, properties=properties)
    for element in pom.walk():
        if element.name == "dependency" and element.said("classifier"):
            version = element.said("version") or managed.get((element.said("groupId"), element.said("artifactId")), "")
            words = [fill(w) for w in (element.said("groupId"), element.said("artifactId"), version)]
            one = Artifact(
                words[0],
                words[1],
                words[2],
                fill(element.said("classifier")),
                element.said("type") or "jar",
                f"{name}:{element.line}",
            )
        elif element.text.count(":") == 4 and not element.children:
            group, artifact, version, kind, classifier = (fill(word) for word in element.text.split(":"))
            one = Artifact(group, artifact, version, classifier, kind, f"{name}:{element.line}")
        else:
            continue
        if _is_native(one.classifier):
            yield one


def _filled(text: str, properties: Mapping[str, str], depth: int = _DEPTH) -> str:
    def value(found: re.Match[str]) -> str:
        return properties.get(found[1], found[0])

    made = re.sub(r"\$\{([\w.\-]+)\}", value, text)
    return made if made == text or not depth else _filled(made[:1000], properties, depth - 1)


def _is_native(classifier: str) -> bool:
    return (
        _DETECTED in classifier or re.match(r"linux[-_]x86[-_]64|linux[-_]amd64|natives-linux$", classifier) is not None
    )


_COORDINATE = re.compile(
    r"""['"]([\w.\-]+):([\w.\-]+):([\w.\-]+|\$\{?\w+(?:\.\w+)*\}?)(?::([\w.\-${}]+))?(?:@(\w+))?['"]"""
)
_APART = re.compile(
    r"""\bgroup\s*[:=]\s*['"]([\w.\-]+)['"]\s*,\s*name\s*[:=]\s*['"]([\w.\-]+)['"](?!\s*,\s*version[^\n]*\bclassifier\b)"""
)
"""Coordinates in parts: ``group: 'g', name: 'n'``."""
_TAKES = re.compile(r"\bdependencies\s*\{\s*(?!(?:\w+[\s(]+)?project\b)\w")
"""A block of dependencies that has more than other projects of the build."""
_COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.S)
_VALUE = re.compile(r"""(?:\b(?:def|val|var|String|ext\.)\s*)?\b(\w+)\s*=\s*['"]([\w.\-]+)['"]""")


def _of_gradle(name: str, tree: SourceTree) -> Iterator[Artifact]:
    """Coordinates that are written in a build of Gradle, which is a program: what it puts together is not known here."""
    text = tree.text(name)
    if text is None:
        return
    plain = _COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    values: dict[str, set[str]] = {}
    for source in (plain, tree.text("gradle.properties") or ""):
        for key, value in _VALUE.findall(source):
            values.setdefault(key, set()).add(value)
    for key, value in re.findall(r"^(\w+)\s*=\s*([\w.\-]+)\s*$", tree.text("gradle.properties") or "", re.M):
        values.setdefault(key, set()).add(value)
    for match in _COORDINATE.finditer(plain):
        group, artifact, version, classifier, extension = match.groups()
        if version.startswith("$"):
            known = values.get(version.strip("${}").rpartition(".")[2], set())
            version = next(iter(known)) if len(known) == 1 else version
        line = plain.count("\n", 0, match.start()) + 1
        one = Artifact(group, artifact, version, classifier or "", extension or "jar", f"{name}:{line}")
        if f"{group}:{artifact}" in PROGRAMS and not classifier:
            yield replace(one, classifier=_DETECTED, extension="exe")
        elif classifier and ("osdetector" in classifier or _is_native(classifier)):
            yield one if _is_native(classifier) else replace(one, classifier=_DETECTED)


def survey_artifacts(tree: SourceTree, work: Work, registry: Registry) -> Surveyed:
    """Judge each artifact for each platform."""
    said = Surveyed()
    plain = len(plain_of(tree))
    if plain:
        lost = _("which native files are in it is known when it is fetched: xc inspect judges what was built")
        part = Part(_("Java dependencies"), 0, plain, why=((lost, plain),))
        said.add((p.id for p in work.platforms), part)
    artifacts, broken = artifacts_of(tree)
    if not artifacts and not broken:
        return said
    paths = {a.path(c) for a in artifacts if a.known for c in _asked_for(a, work)}
    there: Mapping[str, bool | Message] = (
        {path: _("the repository was not asked (--offline)") for path in paths}
        if work.offline
        else asked(sorted(paths), lambda path: _is_there(registry, path), work.budget)
    )
    base = work.baseline.architecture
    for platform in work.platforms:
        judge = Judge(platform)
        why: Counter[Message] = Counter({_("it cannot be read"): len(broken)} if broken else {})
        judged = 0
        for artifact in artifacts:
            if not artifact.known:
                why[_("its version is written elsewhere, or put together by the build")] += 1
                continue
            mine = _classifier(artifact, platform.architecture)
            before, now = there[artifact.path(_classifier(artifact, base))], there[artifact.path(mine)]
            if isinstance(before, Message) or isinstance(now, Message):
                why[before if isinstance(before, Message) else now] += 1  # type: ignore[index]
                continue
            if not before:
                why[_("the repository that was asked does not have it at all")] += 1
                continue
            judged += 1
            _tell(judge, artifact, mine, base, there=now)
        part = Part(
            _("Java artifacts by classifier"),
            judged,
            judged + sum(why.values()),
            by=verbatim("Maven Central"),
            why=tuple(why.items()),
        )
        said.add([platform.id], part)
        said.findings += judge.findings
    return said


def _tell(judge: Judge, artifact: Artifact, mine: str, base: Architecture, *, there: bool) -> None:
    fixed = _DETECTED not in artifact.classifier
    if mine == _classifier(artifact, base) or (there and not fixed):
        return
    # A fixed classifier fetches x86-64's on every machine; there may be another one for the platform beside it.
    program = artifact.extension == "exe"
    judge.find(
        "XC-ADV-084",
        Certainty.CERTAIN if program or not fixed else Certainty.GUARDED,
        artifact.place,
        {"path": artifact.path(mine)},
        artifact=artifact.told(),
        classifier=mine,
        what=_("there is one, and that for x86-64 is asked for") if there else _("there is none"),
    )


def _classifier(artifact: Artifact, architecture: Architecture) -> str:
    """The classifier that a machine is given, or has to be."""
    word = architecture.names.get("maven", architecture.uname)
    if _DETECTED in artifact.classifier:
        return artifact.classifier.replace(_DETECTED, f"linux-{word}")
    if word == "x86_64":
        return artifact.classifier
    if artifact.classifier == "natives-linux":  # LWJGL's and libGDX's name for x86-64
        return f"natives-linux-{architecture.names.get('npm', word)}"
    return re.sub(r"x86[-_]64|amd64", word, artifact.classifier)


def _asked_for(artifact: Artifact, work: Work) -> set[str]:
    platforms = {_classifier(artifact, p.architecture) for p in work.platforms}
    return {_classifier(artifact, work.baseline.architecture), *platforms}


def _is_there(registry: Registry, path: str) -> bool:
    return registry.get(f"{address('maven')}/{urllib.parse.quote(path)}.sha1", {}) is not None
