"""Decides the supply chain requirements of one subject; what it finds is the same for every platform."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.deciding import decide
from pytest_xinchuang.core.finding import Certainty, Finding, FindingCatalogue, load_findings
from pytest_xinchuang.core.found import Found
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.core.verdict import Cause, Decision
from pytest_xinchuang.messages import NOTHING, Message, _, told, verbatim
from pytest_xinchuang.packages.supply_chain import asked
from pytest_xinchuang.packages.supply_chain.asked import ASKED, BASES, FROZEN_INSIDE, OF_IMAGES
from pytest_xinchuang.packages.supply_chain.check import Lists, PackageCheck
from pytest_xinchuang.packages.supply_chain.checking import Chosen, checks, choose, keys, places
from pytest_xinchuang.packages.supply_chain.golang.chain import Options, Verified
from pytest_xinchuang.packages.supply_chain.golang.check import SupplyChain
from pytest_xinchuang.packages.supply_chain.golang.proxy import Proxies, escape, on_loopback
from pytest_xinchuang.packages.supply_chain.golang.vouching import vouching
from pytest_xinchuang.packages.supply_chain.images.check import ImageCheck, check_bases
from pytest_xinchuang.packages.supply_chain.images.found import look_inside
from pytest_xinchuang.packages.supply_chain.lists import Advisories, load_allow_list
from pytest_xinchuang.packages.supply_chain.locked import Origin
from pytest_xinchuang.packages.supply_chain.manifest import SupplyChainSection
from pytest_xinchuang.packages.supply_chain.mirror import check_mirror
from pytest_xinchuang.packages.supply_chain.registries import Registries
from pytest_xinchuang.packages.supply_chain.sm2sign import public_key
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.sm.curve import Point
from pytest_xinchuang.tools.gomod import ModuleVersion
from pytest_xinchuang.tools.process import Runner

READABLE, AGREE, HASHES, VENDOR = "XC-CHAIN-001", "XC-CHAIN-010", "XC-CHAIN-020", "XC-CHAIN-021"
REPLACES, RELEASED, ALLOWED = "XC-CHAIN-022", "XC-CHAIN-023", "XC-CHAIN-024"
FROZEN, MIRROR, SBOM = "XC-CHAIN-030", "XC-CHAIN-031", "XC-CHAIN-032"
RULES, LEGIBLE = "XC-CHAIN-040", "XC-CHAIN-041"

UNVOUCHED = ("XC-SUP-071", "XC-SUP-072", "XC-SUP-073")
"""What says that the files which others are compared with need not be those that were published."""

CODES = {
    READABLE: ("XC-SUP-001", "XC-SUP-002", "XC-SUP-009"),
    AGREE: ("XC-SUP-003", "XC-SUP-004", "XC-SUP-006", "XC-SUP-007", "XC-SUP-010"),
    HASHES: ("XC-SUP-005", "XC-SUP-008", *UNVOUCHED),
    VENDOR: ("XC-SUP-040", "XC-SUP-041", "XC-SUP-042", "XC-SUP-043", "XC-SUP-044", *UNVOUCHED[1:]),
    REPLACES: ("XC-SUP-020", "XC-SUP-021", "XC-SUP-022", "XC-SUP-023"),
    RELEASED: ("XC-SUP-012", "XC-SUP-014", "XC-SUP-015"),
    ALLOWED: ("XC-SUP-030", "XC-SUP-031", "XC-SUP-032"),
    FROZEN: ("XC-SUP-033",),
    RULES: ("XC-SUP-070", "XC-SUP-074"),
    LEGIBLE: ("XC-SUP-082", "XC-SUP-083"),
}
"""The findings that decide each requirement of a module whose go.mod is read."""


@dataclass(frozen=True)
class Trust:
    """Whom and what the person who grades trusts. A subject cannot vouch for itself.

    Attributes:
        proxies: where published modules come from; none: the module cache and GOPROXY.
        registries: where an ecosystem's packages come from, as ``npm=DIR``; none: its registry.
        registry_keys: keys of publishers, as ``maven:GROUP=FILE``.
        mirror_key: the public key that a mirror has to be signed with.
        sumdb: where records of the checksum database are; none: the module cache, the proxies, the database itself.
        sumdb_key: the key of a database of one's own, as GOSUMDB has it.
    """

    proxies: tuple[str, ...] = ()
    registries: tuple[str, ...] = ()
    registry_keys: tuple[str, ...] = ()
    allow_list: Path | None = None
    advisories: Path | None = None
    mirror_key: Path | None = None
    sumdb: tuple[str, ...] = ()
    sumdb_key: str = ""


class SupplyChainEngine:
    """All observations of a subject's supply chain, each made once."""

    def __init__(
        self,
        subject: Subject,
        catalogue: Catalogue,
        cache: Cache,
        trust: Trust,
        *,
        offline: bool = False,
        runner: Runner | None = None,
    ) -> None:
        self.subject, self.catalogue, self.cache = subject, catalogue, cache
        self.runner = runner or Runner()
        self.trust, self.offline = trust, offline

    def close(self) -> None:
        """It holds nothing."""

    def decision(self, requirement_id: str) -> Decision:
        """The decision about one requirement."""
        lacks = "" if self.section else "supply_chain"
        return decide(self.catalogue, requirement_id, self._checks, subject=self.subject.name, lacks=lacks)

    @cached_property
    def _checks(self) -> dict[str, Callable[[], Found]]:
        checks: dict[str, Callable[[], Found]] = {name: self._by_codes(name) for name in CODES}
        if self.trust.allow_list is None:
            checks[ALLOWED] = lambda: _unknown(_("no allow-list is given (--xc-allow-list)"), "--xc-allow-list FILE")
        if self.trust.advisories is None:
            checks[FROZEN] = lambda: _unknown(_("no advisories are given (--xc-advisories)"), "--xc-advisories PATH")
        checks = {**checks, MIRROR: self._mirror, SBOM: self._sbom}
        if self.section is not None and not self._chosen.go:
            checks = dict.fromkeys((*CODES, MIRROR), lambda: Found(lacking=_("the product is no Go module")))
            checks[SBOM] = self._sbom
        checks |= {name: self._by_packages(name) for name in ASKED}
        return {**checks, **{name: self._by_images(name) for name in OF_IMAGES}}

    @cached_property
    def _chosen(self) -> Chosen:
        section = self.section
        assert section is not None
        return choose(self.subject.path(section.path))

    @cached_property
    def _packages(self) -> dict[str, PackageCheck]:
        """The checks of the ecosystems that the product has, each done."""
        section = self.section
        assert section is not None
        trust = self.trust
        lists = Lists(
            allow_list=load_allow_list(trust.allow_list) if trust.allow_list else None,
            advisories=Advisories(trust.advisories) if trust.advisories else None,
        )
        registries = Registries(
            self.cache, places(trust.registries), keys=keys(trust.registry_keys), offline=self.offline
        )
        done = checks(self.subject.path(section.path), self._chosen.others, registries, lists)
        return {one.ecosystem.name: one for one in done}

    def _by_packages(self, requirement_id: str) -> Callable[[], Found]:
        ecosystems, codes = ASKED[requirement_id]

        def check() -> Found:
            if not set(ecosystems) & set(self._chosen.others):
                return Found(
                    lacking=_("the product has nothing of {ecosystem}", ecosystem=verbatim(", ".join(ecosystems)))
                )
            if codes is asked.ALLOWED and self.trust.allow_list is None:
                return _unknown(_("no allow-list is given (--xc-allow-list)"), "--xc-allow-list FILE")
            if codes is asked.FROZEN and self.trust.advisories is None:
                return _unknown(_("no advisories are given (--xc-advisories)"), "--xc-advisories PATH")
            done = [self._packages[name] for name in ecosystems if name in self._packages]
            mine = [_of_subject(f) for one in done for f in one.findings if f.code in codes]
            found = self._weighed(mine, [_observed(one, mine) for one in done])
            entries = sum(len(one.entries) for one in done)
            if codes is asked.TREES and not mine and not any(one.trees for one in done):
                found.lacking = _("nothing is installed or vendored")
            if codes is asked.HASHES and entries and not any(one.verified for one in done):
                found.undecided = found.undecided or _("not one hash could be checked")
            return found

        return check

    @cached_property
    def _images(self) -> list[tuple[str, ImageCheck]]:
        """The checks of the images that are delivered, each done."""
        section = self.section
        assert section is not None
        advisories = Advisories(self.trust.advisories) if self.trust.advisories else None
        done = []
        for name in section.images:
            check = ImageCheck(look_inside(self.subject.path(name), runner=self.runner), advisories)
            check.run()
            done.append((name, check))
        return done

    def _by_images(self, requirement_id: str) -> Callable[[], Found]:
        codes = OF_IMAGES[requirement_id]

        def check() -> Found:
            section = self.section
            assert section is not None
            if requirement_id == BASES:
                findings, count = check_bases(self.subject.path(section.path))
                if not count:
                    return Found(lacking=_("the product has no Dockerfile that names a base image"))
                return self._weighed(findings, [{"kind": "base images", "named": count}])
            if not section.images:
                return Found(lacking=_("the manifest names no image (supply_chain.images)"))
            if requirement_id == FROZEN_INSIDE and self.trust.advisories is None:
                return _unknown(_("no advisories are given (--xc-advisories)"), "--xc-advisories PATH")
            found = Found()
            for name, one in self._images:
                mine = [replace(f, object=f"{name}: {f.object}") for f in one.findings if f.code in codes]
                parts = Counter(part.kind for part in one.inside.parts)
                more = self._weighed(mine, [{"kind": "image", "image": name, "packages": dict(sorted(parts.items()))}])
                if not one.inside.parts and not mine:
                    more.undecided = _("{image}: nothing in it says what it is made of", image=name)
                found.wrong += more.wrong
                found.evidence += more.evidence
                found.undecided, found.mend = found.undecided or more.undecided, found.mend or more.mend
            return found

        return check

    @property
    def section(self) -> SupplyChainSection | None:
        return self.subject.section(SupplyChainSection)

    def _place(self, name: str) -> str:
        return name if "://" in name else str(self.subject.path(name))

    @cached_property
    def _chain(self) -> SupplyChain:
        section = self.section
        assert section is not None
        trust = self.trust
        proxies = Proxies(self.cache, trust.proxies, offline=self.offline, runner=self.runner)
        mirrors = [*trust.proxies, *([self._place(section.mirror)] if section.mirror else [])]
        options = Options(
            vouching=vouching(proxies, places=trust.sumdb, key=trust.sumdb_key, mirrors=mirrors, trusted=self._trusted),
            allow_list=load_allow_list(trust.allow_list) if trust.allow_list else None,
            advisories=Advisories(trust.advisories) if trust.advisories else None,
        )
        return SupplyChain(self.subject.path(section.path), proxies, options)

    @cached_property
    def _trusted(self) -> list[Point]:
        key = self.trust.mirror_key
        return [public_key(key.read_text(encoding="utf-8", errors="replace"))] if key else []

    @cached_property
    def _findings(self) -> list[Finding]:
        return self._chain.run()

    @cached_property
    def _texts(self) -> FindingCatalogue:
        return load_findings()

    def _by_codes(self, requirement_id: str) -> Callable[[], Found]:
        def check() -> Found:
            findings = self._findings
            if self._chain.refused:
                return self._refused(requirement_id)
            found = self._told([f for f in findings if f.code in CODES[requirement_id]])
            if requirement_id == HASHES and not found.wrong and not self._chain.checked_lines and self._chain.published:
                found.undecided = found.undecided or _("not one hash could be checked")
            if requirement_id == VENDOR and self._chain.vendored is None:
                found.lacking = _("nothing is vendored")
            return found

        return check

    def _refused(self, requirement_id: str) -> Found:
        """A go.mod that the go command refuses is not readable, whatever is wrong with it, and says nothing about the rest.

        What is said of the rest is what stands in the way; a run does not come so far, since all else needs ``READABLE``.
        """
        if requirement_id != READABLE:
            return Found(undecided=self._texts.text(self._findings[0]), cause=Cause.SUBJECT)
        found = self._told(self._findings)
        found.mend = self._texts.mend(self._findings[0])
        return found

    def _told(self, findings: Iterable[Finding]) -> Found:
        listed = list(findings)
        chain = self._chain
        seen: dict[str, Any] = {
            "kind": "supply chain",
            "published by": list(self.trust.proxies) or _("the module cache and GOPROXY"),
            "go.sum lines": chain.checked_lines,
            "vendored files": chain.checked_files,
            "vouched": chain.vouched,
            "modules": {str(m): v.h1 for m, v in chain.verified.items() if isinstance(v, Verified)},
            "findings": [{"code": f.code, "object": f.object, "certainty": f.certainty.value} for f in listed[:50]],
        }
        return self._weighed(listed, [seen])

    def _weighed(self, findings: Sequence[Finding], evidence: Sequence[dict[str, Any]]) -> Found:
        """What certain findings say is wrong; one that is open leaves the rest undecided."""
        found = Found(evidence=list(evidence))
        found.wrong += [self._coded(f) for f in findings if f.certainty is Certainty.CERTAIN]
        if open_ := [f for f in findings if f.certainty is Certainty.UNDECIDED]:
            found.undecided = self._coded(open_[0])
            found.mend = NOTHING if found.wrong else self._texts.mend(open_[0])
        return found

    def _coded(self, finding: Finding) -> Message:
        return _("{code} {found}", code=finding.code, found=self._texts.text(finding))

    def _mirror(self) -> Found:
        section = self.section
        assert section is not None
        if not section.mirror:
            return _unknown(_("the manifest names no mirror (supply_chain.mirror)"))
        if self.trust.mirror_key is None:
            return _unknown(
                _("no public key is given to check the mirror's signature with (--xc-mirror-key)"),
                "--xc-mirror-key FILE",
            )
        place = self._place(section.mirror)
        if self.offline and "://" in place and not on_loopback(place):
            return Found(undecided=_("{url} was not asked: nothing may be fetched", url=section.mirror))
        self._findings  # noqa: B018 - what it is built from is read by it
        if self._chain.refused:
            return self._refused(MIRROR)
        findings, good = check_mirror(place, self._trusted, runner=self.runner)
        found = Found(evidence=[{"kind": "mirror", "place": section.mirror, "files": good}])
        found.wrong += [self._coded(f) for f in findings]
        lacking = [m for m in self._chain.published if not self._mirrored(section.mirror, m)]
        if not findings and lacking and "://" not in section.mirror:
            found.wrong.append(
                _("the mirror does not have {module}, which the product is built from", module=lacking[0])
            )
        return found

    def _mirrored(self, mirror: str, module: ModuleVersion) -> bool:
        return (Path(self._place(mirror)) / escape(module.path) / "@v" / f"{escape(module.version)}.zip").is_file()

    def _sbom(self) -> Found:
        section = self.section
        assert section is not None
        if self._chosen.go:
            self._findings  # noqa: B018 - the modules are fetched by it
            if self._chain.refused:
                return self._refused(SBOM)
        if not section.sbom:
            found = Found(evidence=[{"kind": "manifest", "sbom": None}])
            found.wrong.append(_("no bill of materials is delivered (supply_chain.sbom)"))
            return found
        path = self.subject.path(section.sbom)
        found = Found()
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            listed = {(c["name"], c.get("version", "")): _sha256(c) for c in data["components"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            found.evidence.append({"kind": "sbom", "path": section.sbom})
            found.wrong.append(_("{sbom} is no CycloneDX document: {why}", sbom=section.sbom, why=told(error)))
            return found
        found.evidence.append({"kind": "sbom", "path": section.sbom, "components": len(listed)})
        wanted, allowed = self._built()
        for (name, version), digest in wanted.items():
            module = verbatim(f"{name}@{version}")
            if (name, version) not in listed:
                found.wrong.append(_("{sbom} lacks {module}", sbom=section.sbom, module=module))
                continue
            said = listed[name, version]
            if not digest or said == digest:
                continue  # its files are not part of the build, or were not seen
            found.wrong.append(
                _(
                    "{sbom} gives {module} the SHA-256 {digest}, and it is {wanted}",
                    sbom=section.sbom,
                    module=module,
                    digest=said,
                    wanted=digest,
                )
                if said
                else _(
                    "{sbom} gives {module} no SHA-256, and it is {wanted}",
                    sbom=section.sbom,
                    module=module,
                    wanted=digest,
                )
            )
        extra = [f"{name}@{version}" for name, version in listed if (name, version) not in allowed]
        found.wrong += [
            _("{sbom} names {module}, which the build does not use", sbom=section.sbom, module=module)
            for module in extra
        ]
        return found

    def _built(self) -> tuple[dict[tuple[str, str], str], set[tuple[str, str]]]:
        """What a bill of materials has to name, with SHA-256 where it is known, and all that it may name."""
        wanted: dict[tuple[str, str], str] = {}
        allowed: set[tuple[str, str]] = set()
        if self._chosen.go:
            for module in self._chain.published:
                known = self._chain.verified.get(module)
                digest = base64.b64decode(known.h1.removeprefix("h1:")).hex() if isinstance(known, Verified) else ""
                wanted[module.path, module.version] = digest
        for check in self._packages.values():
            for entry in check.reading.entries:
                allowed.add((entry.name, entry.version))
                if entry.origin is Origin.REGISTRY and not entry.dev:
                    wanted.setdefault((entry.name, entry.version), "")
        return wanted, allowed | set(wanted)


def _of_subject(finding: Finding) -> Finding:
    """An archive of this machine that was changed is not the subject's fault: it leaves open what it would have shown."""
    changed = finding.code == "XC-SUP-125" and finding.certainty is Certainty.CERTAIN
    return replace(finding, certainty=Certainty.UNDECIDED) if changed else finding


def _observed(check: PackageCheck, findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "kind": "supply chain",
        "ecosystem": check.ecosystem.name,
        "files read": list(check.reading.files),
        "packages": len(check.entries),
        "packages verified": check.verified,
        "trees": check.trees,
        "installed files": check.checked_files,
        "findings": [
            {"code": f.code, "object": f.object, "certainty": f.certainty.value}
            for f in findings
            if f.platform == check.ecosystem.name
        ][:50],
    }


def _sha256(component: dict[str, Any]) -> str:
    return next((str(h["content"]) for h in component.get("hashes") or () if h.get("alg") == "SHA-256"), "")


def _unknown(why: Message, option: str = "") -> Found:
    """Nothing can be said until whoever grades gives what is missing, by ``option`` where there is one."""
    return Found(undecided=why, cause=Cause.MISSING_FACT, mend=verbatim(option))
