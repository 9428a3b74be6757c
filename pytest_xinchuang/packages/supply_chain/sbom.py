"""The software bill of materials, in CycloneDX's JSON and in SPDX's."""

from __future__ import annotations

import base64
import datetime
import json
import os
import re
import urllib.parse
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang import __version__
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.packages.supply_chain.check import PackageCheck, Seen
from pytest_xinchuang.packages.supply_chain.golang.chain import Verified
from pytest_xinchuang.packages.supply_chain.golang.check import SupplyChain
from pytest_xinchuang.packages.supply_chain.licences import expression
from pytest_xinchuang.packages.supply_chain.locked import LENGTHS, Locked, Origin
from pytest_xinchuang.packages.supply_chain.registries import Published


@dataclass(frozen=True)
class Part:
    """A package that a product is built from.

    Attributes:
        ref: by which the document names it.
        namespace: of its package URL.
        hashes: algorithm by hashlib's name -> hexadecimal digits.
        licence: an SPDX expression; "" where none is known.
        qualifiers: of its package URL.
    """

    ref: str
    kind: str
    namespace: str
    name: str
    version: str
    whole: str
    hashes: tuple[tuple[str, str], ...] = ()
    licence: str = ""
    properties: tuple[tuple[str, str], ...] = field(default=())
    qualifiers: tuple[tuple[str, str], ...] = field(default=())


def _go_parts(chain: SupplyChain) -> list[Part]:
    indirect = {chain.real(r.module): r.indirect for r in chain.go_mod.requires}
    vendored = {v.real for v in chain.vendored or () if v.packages}
    parts = []
    for module in chain.published:
        found = chain.verified.get(module)
        hashes = []
        properties = [("xc:indirect", str(indirect.get(module, True)).lower())]
        if isinstance(found, Verified):
            hashes.append(("sha256", base64.b64decode(found.h1.removeprefix("h1:")).hex()))
            properties.append(("xc:go:h1", found.h1))
        if module in vendored:
            properties.append(("xc:go:vendored", "true"))
        namespace, _slash, name = module.path.rpartition("/")
        parts.append(
            Part(
                str(module),
                "golang",
                namespace,
                name,
                module.version,
                module.path,
                tuple(hashes),
                properties=tuple(properties),
            )
        )
    return parts


def _package_parts(check: PackageCheck) -> list[Part]:
    """The locked packages; the digest of one is that of a file that was seen, else the lock's own where it is for one file."""
    parts: dict[str, Part] = {}
    for entry in check.reading.entries:
        if entry.origin is Origin.OWN:
            continue
        ref = f"{check.ecosystem.name}:{entry}"
        seen = check.seen.get(entry)
        if ref in parts and not (seen and seen.verified):
            continue
        properties = [("xc:verified", str(bool(seen and seen.verified)).lower())]
        if entry.dev:
            properties.append(("xc:development", "true"))
        namespace, name = _split(check.ecosystem.purl, entry.name)
        licence = seen.published.licence if seen and isinstance(seen.published, Published) else ""
        hashes = _hashes(entry, seen)
        parts[ref] = Part(
            ref,
            check.ecosystem.purl,
            namespace,
            name,
            entry.version,
            entry.name,
            hashes,
            expression(licence) or "",
            tuple(properties),
        )
    return list(parts.values())


def _split(kind: str, name: str) -> tuple[str, str]:
    """Namespace and name of a package URL (purl specification, known types)."""
    if kind == "maven":
        group, _colon, artifact = name.partition(":")
        return group, artifact
    if kind == "npm" and name.startswith("@"):
        scope, _slash, rest = name.partition("/")
        return scope, rest
    return "", re.sub(r"[-_.]+", "-", name).lower() if kind == "pypi" else name


def _hashes(entry: Locked, seen: Seen | None) -> tuple[tuple[str, str], ...]:
    digests = seen.paths[0][0].digests if seen is not None and seen.paths else ()
    if not digests and len(entry.files) == 1:
        digests = entry.digests
    return tuple(sorted({d.algorithm: d.hex for d in digests if d.algorithm in LENGTHS}.items()))


@dataclass(frozen=True)
class Root:
    """The product that a document is about."""

    name: str
    version: str
    kind: str
    namespace: str


def _root(chain: SupplyChain | None, product: str, version: str) -> Root:
    if chain is None:
        return Root(product, version, "generic", "")
    return Root(chain.go_mod.path, version, "golang", chain.go_mod.path.rpartition("/")[0])


def _parts(chain: SupplyChain | None, checks: Sequence[PackageCheck]) -> list[Part]:
    own = [] if chain is None else _go_parts(chain)
    return [*own, *(part for check in checks for part in _package_parts(check))]


def _moment() -> datetime.datetime:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.datetime.fromtimestamp(int(epoch) if epoch else 0, datetime.UTC)


def _serial(root: Root, parts: Sequence[Part]) -> uuid.UUID:
    names = "\n".join(sorted(part.ref for part in parts))
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{root.name}@{root.version}\n{names}")


def cyclonedx(
    chain: SupplyChain | None, version: str = "", checks: Sequence[PackageCheck] = (), product: str = "product"
) -> str:
    """A CycloneDX 1.6 document of a product and what it is built from; call it after the checks are done.

    The SHA-256 of a Go module is the one inside its h1 hash, computed from the published files; a component without a digest
    could not be fetched. The document is the same for the same inputs: its time is SOURCE_DATE_EPOCH, or left out.
    """
    return as_cyclonedx(_root(chain, product, version), _parts(chain, checks))


def as_cyclonedx(about: Root, parts: Sequence[Part]) -> str:
    """A CycloneDX 1.6 document of what has these parts."""
    with optional("supply_chain"):
        from cyclonedx.model import HashAlgorithm, HashType, Property
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.model.license import LicenseExpression
        from cyclonedx.output.json import JsonV1Dot6
        from packageurl import PackageURL

    algorithms = {
        "md5": HashAlgorithm.MD5,
        "sha1": HashAlgorithm.SHA_1,
        "sha256": HashAlgorithm.SHA_256,
        "sha384": HashAlgorithm.SHA_384,
        "sha512": HashAlgorithm.SHA_512,
    }
    root = Component(
        type=ComponentType.CONTAINER if about.kind == "oci" else ComponentType.LIBRARY,
        name=about.name,
        version=about.version or None,
        purl=PackageURL(about.kind, about.namespace or None, about.name.rpartition("/")[2], about.version or None),
        bom_ref=f"{about.name}@{about.version}",
    )
    bom = Bom()
    bom.metadata.component = root
    bom.metadata.tools.components.add(
        Component(
            type=ComponentType.APPLICATION, name="pytest-xinchuang", version=__version__, bom_ref="pytest-xinchuang"
        )
    )
    components = [
        Component(
            type=ComponentType.LIBRARY,
            name=part.whole,
            version=part.version or None,
            purl=PackageURL(part.kind, part.namespace or None, part.name, part.version or None, dict(part.qualifiers)),
            bom_ref=part.ref,
            hashes=[HashType(alg=algorithms[name], content=digits) for name, digits in part.hashes],
            licenses=[LicenseExpression(part.licence)] if part.licence else None,
            properties=[Property(name=name, value=value) for name, value in part.properties],
        )
        for part in parts
    ]
    for component in components:
        bom.components.add(component)
    bom.register_dependency(root, components)
    bom.serial_number = _serial(about, parts)
    bom.metadata.timestamp = _moment()
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def spdx(
    chain: SupplyChain | None, version: str = "", checks: Sequence[PackageCheck] = (), product: str = "product"
) -> str:
    """An SPDX 2.3 document of the same (SPDX 2.3, clauses 6, 7 and 11), in JSON."""
    return as_spdx(_root(chain, product, version), _parts(chain, checks))


def as_spdx(about: Root, parts: Sequence[Part]) -> str:
    """An SPDX 2.3 document of what has these parts."""
    packages: list[dict[str, Any]] = [_spdx_package("SPDXRef-Product", about.name, about.version, "", (), "")]
    for number, part in enumerate(parts, 1):
        purl = f"pkg:{part.kind}/" + "/".join(_quoted(p) for p in (*part.namespace.split("/"), part.name) if p)
        purl += f"@{_quoted(part.version)}" if part.version else ""
        purl += "?" + "&".join(f"{k}={_quoted(v)}" for k, v in sorted(part.qualifiers)) if part.qualifiers else ""
        packages.append(
            _spdx_package(f"SPDXRef-Package-{number}", part.whole, part.version, purl, part.hashes, part.licence)
        )
    relations = [_relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Product")]
    relations += [_relation("SPDXRef-Product", "DEPENDS_ON", p["SPDXID"]) for p in packages[1:]]
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": about.name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{_quoted(about.name)}-{_serial(about, parts)}",
        "creationInfo": {
            "created": _moment().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: pytest-xinchuang-{__version__}"],
        },
        "packages": packages,
        "relationships": relations,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _spdx_package(
    identifier: str, name: str, version: str, purl: str, hashes: Sequence[tuple[str, str]], licence: str
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "SPDXID": identifier,
        "name": name,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence or "NOASSERTION",
        "copyrightText": "NOASSERTION",
    }
    if version:
        found["versionInfo"] = version
    if hashes:
        found["checksums"] = [{"algorithm": a.upper(), "checksumValue": digits} for a, digits in hashes]
    if purl:
        found["externalRefs"] = [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
        ]
    return found
