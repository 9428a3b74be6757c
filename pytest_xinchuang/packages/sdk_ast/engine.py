"""Decides the SDK requirements of one subject on one platform: it builds for it, and keeps its contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from pytest_xinchuang.core.deciding import decide
from pytest_xinchuang.core.found import Found
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.core.verdict import Cause, Decision
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare, compare_across
from pytest_xinchuang.packages.sdk_ast.delivered import (
    java_is_new_enough,
    native_files,
    python_is_new_enough,
    rust_is_new_enough,
)
from pytest_xinchuang.packages.sdk_ast.golang.build import run_go
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.languages import LANGUAGES
from pytest_xinchuang.packages.sdk_ast.manifest import Sdk, is_published
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.packages.sdk_ast.words import LEVELS, listed, word
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.go import GoCause, GoCommand
from pytest_xinchuang.tools.gomod import ModuleVersion, go_key, read_go_mod
from pytest_xinchuang.tools.process import Runner

BUILDS, VETS, GO = "XC-SDK-001", "XC-SDK-002", "XC-SDK-003"
NATIVE, RUN_TIME = "XC-SDK-004", "XC-SDK-005"
CONTRACT, EVERYWHERE, VERSION = "XC-SDK-010", "XC-SDK-011", "XC-SDK-012"

REFERENCE = "amd64"
"""The architecture that SDKs are written on, and that the others are compared with."""


TARGETS = {
    "java": "jvm", "python": "python", "typescript": "node", "protobuf": "protobuf", "openapi": "openapi", "sql": "sql",
}  # fmt: skip
"""Language -> its one target, where an API is the same on all platforms."""

POLICY = ApiPolicy()
"""A grade suppresses no change and maps no package to another. Whoever grades may waive instead, and reports show waivers."""


class SdkEngine:
    """All observations of a subject's SDK for ``platform``, each made once, when it is first asked for.

    Args:
        baseline: a snapshot, directory or MODULE@VERSION in the place of the manifest's.
    """

    def __init__(
        self,
        platform: Platform,
        subject: Subject,
        catalogue: Catalogue,
        cache: Cache,
        *,
        baseline: str = "",
        offline: bool = False,
        runner: Runner | None = None,
    ) -> None:
        self.platform, self.subject, self.catalogue = platform, subject, catalogue
        self.cache, self.baseline, self.offline = cache, baseline, offline
        self.runner = runner or Runner()
        self._sources: Sources | None = None
        self._commands: dict[tuple[str, ...], Found] = {}

    def close(self) -> None:
        """Remove the snapshots that were made."""
        if self._sources is not None:
            self._sources.close()
            self._sources = None

    def decision(self, requirement_id: str) -> Decision:
        """The decision about one requirement."""
        lacks = "" if self.subject.section(Sdk) else "sdk"
        return decide(self.catalogue, requirement_id, self._checks, subject=self.subject.name, lacks=lacks)

    @cached_property
    def _checks(self) -> dict[str, Callable[[], Found]]:
        return {
            BUILDS: lambda: self._go(("build", "./...")),
            VETS: lambda: self._go(("vet", "./...")),
            GO: self._go_version,
            NATIVE: self._native_files,
            RUN_TIME: self._run_time,
            CONTRACT: self._contract,
            EVERYWHERE: self._everywhere,
            VERSION: self._version,
        }

    @property
    def sdk(self) -> Sdk:
        sdk = self.subject.section(Sdk)
        assert sdk is not None
        return sdk

    @property
    def _language(self) -> Message:
        return LANGUAGES[self.sdk.language].shown

    @property
    def arch(self) -> str:
        return self.platform.arch.value

    # -- it builds

    def _go(self, words: tuple[str, ...]) -> Found:
        """The result of ``go WORDS`` in the SDK; each command runs once."""
        if self.sdk.language != "go":
            return self._not_go()
        if words not in self._commands:
            self._commands[words] = self._run_go(words)
        return self._commands[words]

    def _run_go(self, words: tuple[str, ...]) -> Found:
        found = Found()
        directory = self.subject.path(self.sdk.path)
        run = run_go(self.cache, directory, words, self.arch, offline=self.offline, runner=self.runner)
        found.evidence.append(
            {"kind": "go", "argv": list(run.argv), "goarch": self.arch, "exit": run.code, "output": run.output[-2000:]}
        )
        failure = run.failure
        if run.matched_nothing:
            found.undecided, found.cause = _("there is no package for {arch}", arch=self.arch), Cause.SUBJECT
        elif failure is not None and failure.cause is GoCause.SUBJECT:
            found.wrong += map(verbatim, run.telling)
        elif failure is not None:
            found.undecided, found.mend = failure.told(), verbatim(failure.mend)
        return found

    def _not_go(self) -> Found:
        found = Found(evidence=[{"kind": "manifest", "language": self.sdk.language}])
        found.lacking = _("it is about SDKs in Go, and this one is in {language}", language=self._language)
        return found

    def _go_version(self) -> Found:
        if self.sdk.language != "go":
            return self._not_go()
        found = Found()
        declared = read_go_mod(
            self.subject.path(self.sdk.path) / "go.mod", GoCommand(self.runner, offline=self.offline)
        ).go
        least = self.platform.architecture.go_min.value
        found.evidence.append({"kind": "go directive", "go": declared, "users": self.sdk.go, "architecture": least})
        if not self.sdk.go:
            found.lacking = _("the manifest names no Go of the users (sdk.go)")
            return found
        if least and go_key(self.sdk.go) < go_key(least):
            found.wrong.append(
                _(
                    "the users' Go {go} does not know {arch}, which came with Go {least}",
                    go=self.sdk.go,
                    arch=self.arch,
                    least=least,
                )
            )
        if declared and go_key(declared) > go_key(self.sdk.go):
            found.wrong.append(
                _("the go directive is {declared}, and the users have Go {go}", declared=declared, go=self.sdk.go)
            )
        return found

    # -- what it delivers

    @property
    def _place(self) -> Path:
        return self.subject.path(self.sdk.path)

    def _native_files(self) -> Found:
        if self.sdk.language == "go":
            found = Found(evidence=[{"kind": "manifest", "language": self.sdk.language}])
            found.lacking = _("a module is delivered as source")
            return found
        if self.sdk.language == "rust":
            found = Found(evidence=[{"kind": "manifest", "language": self.sdk.language}])
            found.lacking = _("a crate is delivered as source")
            return found
        return native_files(self._place, self.sdk.language, self.platform, self.runner)

    def _run_time(self) -> Found:
        if self.sdk.language == "java":
            return java_is_new_enough(self._place, self.sdk.java)
        if self.sdk.language == "python":
            return python_is_new_enough(self._place, self.sdk.python)
        if self.sdk.language == "rust":
            return rust_is_new_enough(self._new.header.minimum, self.sdk.rust)
        found = Found(evidence=[{"kind": "manifest", "language": self.sdk.language}])
        found.lacking = _("{language} asks its users for no run time", language=self._language)
        return found

    # -- it keeps its contract

    def _read(self, what: str) -> Snapshot:
        if self._sources is None:
            arches = tuple(dict.fromkeys((REFERENCE, self.arch)))
            targets = tuple(f"linux/{arch}" for arch in arches)
            options = ReadOptions(targets=targets, tags=self.sdk.tags, offline=self.offline, language=self.sdk.language)
            self._sources = Sources(self.cache, options, self.subject.directory, self.runner)
        return self._sources.read(what)

    @cached_property
    def _new(self) -> Snapshot:
        return self._read(str(self.subject.path(self.sdk.path)))

    @cached_property
    def _old(self) -> Snapshot:
        named = self.sdk.baseline
        return self._read(self.baseline or (named if is_published(named) else str(self.subject.path(named))))

    @cached_property
    def _against_baseline(self) -> Comparison:
        rules = Rules()
        old, new = self._old, self._new
        assert self._sources is not None
        return judged(compare(old, new, rules, POLICY), self._sources, rules, POLICY, trusting=False)

    def _compared(self, comparison: Comparison, target: str) -> Found:
        found = Found()
        mine = [c for c in comparison.changes if not c.change.targets or target in c.change.targets]
        found.evidence.append(
            {
                "kind": "api",
                "old": {"label": comparison.old.label, "digest": comparison.old.digest, "grade": comparison.old.grade},
                "new": {"label": comparison.new.label, "digest": comparison.new.digest, "grade": comparison.new.grade},
                "target": target,
                "clients": {
                    "tried": len(comparison.trials),
                    "broken": sum(trial.breaks for trial in comparison.trials),
                    "unjudged": comparison.unjudged.as_data(),
                },
                "counts": {
                    w: sum(c.weight == w for c in mine) for w in ("breaking", "undecided", "fragile", "compatible")
                },
                "changes": [
                    {
                        "rule": c.rule.id,
                        "symbol": c.change.symbol,
                        "old": c.change.old,
                        "new": c.change.new,
                        "weight": c.weight,
                    }
                    for c in mine
                    if c.weight != "compatible"
                ][:50],
                "baseline": self.baseline or self.sdk.baseline,
            }
        )
        found.wrong += [_("{code} {found}", code=c.rule.id, found=c.sentence()) for c in mine if c.weight == "breaking"]
        if open_ := [c for c in mine if c.weight == "undecided"]:
            found.undecided = _(
                "{symbol}: {undecided}", symbol=open_[0].change.symbol, undecided=open_[0].change.undecided
            )
            found.cause = Cause.SUBJECT
        return found

    def _contract(self) -> Found:
        if not (self.baseline or self.sdk.baseline):
            return _unknown(_("the manifest names no baseline (sdk.baseline)"))
        named = self.subject.path(self.sdk.baseline)
        if not self.baseline and named.exists() and named.samefile(self.subject.path(self.sdk.path)):
            return _unknown(_("the baseline is the SDK itself"))
        target = self._target
        if target not in self._old.header.targets:
            # A baseline of another architecture says nothing about this one.
            read = listed(self._old.header.targets)
            return _unknown(_("the baseline was read for {read}, and not for {target}", read=read, target=target))
        found = self._compared(self._against_baseline, target)
        if not self._old.packages:
            return _unknown(_("the baseline has no package: there is no contract to keep"))
        return self._believed(found)

    def _believed(self, found: Found) -> Found:
        """What was found; open where code of the product itself ran when its API was described, and nothing is wrong."""
        if self.sdk.language != "rust":
            return found
        manifests = [
            s for p, *_more in self._new.packages.values() for s in p.symbols.values() if s["kind"] == "module"
        ]
        own = next((str(code) for s in manifests if (code := s.get("facts", {}).get("own_code"))), "")
        if own and not found.wrong and not found.undecided:
            found.undecided = _(
                "{code} of the product runs where rustdoc describes its API, and could change what it says", code=own
            )
            found.cause = Cause.SUBJECT
        return found

    @property
    def _target(self) -> str:
        """The target that the API is read for; languages that no machine is named in have one for all platforms."""
        return TARGETS.get(self.sdk.language, f"linux/{self.arch}")

    def _everywhere(self) -> Found:
        if not self._target.startswith("linux/"):
            found = Found(evidence=[{"kind": "manifest", "language": self.sdk.language}])
            found.lacking = _("{language} has one API for all architectures", language=self._language)
            return found
        if self.arch == REFERENCE:
            found = Found(evidence=[{"kind": "api", "label": self._new.label, "digest": self._new.digest}])
            found.lacking = _("the other architectures are compared with {reference}", reference=REFERENCE)
            return found
        found = self._compared(compare_across(self._new, Rules(), POLICY), self._target)
        if not self._new.packages:
            return _unknown(_("the SDK has no package"))
        return self._believed(found)

    def _version(self) -> Found:
        found = Found()
        mine = ModuleVersion(
            "", self.subject.version if self.subject.version[:1] == "v" else f"v{self.subject.version}"
        )
        if not (self.baseline or self.sdk.baseline):
            return _unknown(_("the manifest names no baseline (sdk.baseline)"))
        comparison = self._against_baseline
        wanted = comparison.next_version
        found.evidence.append(
            {
                "kind": "version",
                "old": self._old.header.version,
                "new": mine.version,
                "least": wanted,
                "level": comparison.level,
            }
        )
        if not wanted or not mine.semantic:
            found.lacking = _("the baseline or the subject has no semantic version")
        elif comparison.undecided:
            found.undecided, found.cause = _("it is not known whether something breaks"), Cause.SUBJECT
        elif comparison.level is not None and mine.key < ModuleVersion("", wanted).key:
            after = self._old.header.version
            found.wrong.append(
                _(
                    "{version} is less than {wanted}, the least version for a {level} change after {after}",
                    version=mine.version,
                    wanted=wanted,
                    level=word(LEVELS, comparison.level),
                    after=after,
                )
            )
        return self._believed(found)


def _unknown(why: Message) -> Found:
    """Nothing can be said, and the subject's side could change that."""
    return Found(undecided=why, cause=Cause.SUBJECT)
