"""Decides the supply chain requirements of one subject; what it finds is the same for every platform."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
from pytest_xinchuang.packages.supply_chain.golang.chain import Options, Verified
from pytest_xinchuang.packages.supply_chain.golang.check import SupplyChain
from pytest_xinchuang.packages.supply_chain.golang.proxy import Proxies, escape, on_loopback
from pytest_xinchuang.packages.supply_chain.golang.vouching import vouching
from pytest_xinchuang.packages.supply_chain.lists import Advisories, load_allow_list
from pytest_xinchuang.packages.supply_chain.manifest import SupplyChainSection
from pytest_xinchuang.packages.supply_chain.mirror import check_mirror
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
        mirror_key: the public key that a mirror has to be signed with.
        sumdb: where records of the checksum database are; none: the module cache, the proxies, the database itself.
        sumdb_key: the key of a database of one's own, as GOSUMDB has it.
    """

    proxies: tuple[str, ...] = ()
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
        return {**checks, MIRROR: self._mirror, SBOM: self._sbom}

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
        found = Found()
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
        found.evidence.append(seen)
        found.wrong += [self._coded(f) for f in listed if f.certainty is Certainty.CERTAIN]
        if open_ := [f for f in listed if f.certainty is Certainty.UNDECIDED]:
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
        for module in self._chain.published:
            if (module.path, module.version) not in listed:
                found.wrong.append(_("{sbom} lacks {module}", sbom=section.sbom, module=module))
                continue
            known = self._chain.verified.get(module)
            if not isinstance(known, Verified):
                continue  # its files are not part of the build
            wanted = base64.b64decode(known.h1.removeprefix("h1:")).hex()
            digest = listed[module.path, module.version]
            if digest != wanted:
                found.wrong.append(
                    _(
                        "{sbom} gives {module} the SHA-256 {digest}, and it is {wanted}",
                        sbom=section.sbom,
                        module=module,
                        digest=digest,
                        wanted=wanted,
                    )
                    if digest
                    else _(
                        "{sbom} gives {module} no SHA-256, and it is {wanted}",
                        sbom=section.sbom,
                        module=module,
                        wanted=wanted,
                    )
                )
        built = {(m.path, m.version) for m in self._chain.published}
        extra = [f"{name}@{version}" for name, version in listed if (name, version) not in built]
        found.wrong += [
            _("{sbom} names {module}, which the build does not use", sbom=section.sbom, module=module)
            for module in extra
        ]
        return found


def _sha256(component: dict[str, Any]) -> str:
    return next((str(h["content"]) for h in component.get("hashes") or () if h.get("alg") == "SHA-256"), "")


def _unknown(why: Message, option: str = "") -> Found:
    """Nothing can be said until whoever grades gives what is missing, by ``option`` where there is one."""
    return Found(undecided=why, cause=Cause.MISSING_FACT, mend=verbatim(option))
