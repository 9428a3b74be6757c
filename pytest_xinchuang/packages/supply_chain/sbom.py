"""The software bill of materials, in CycloneDX's JSON."""

from __future__ import annotations

import base64
import datetime
import os
import uuid

from pytest_xinchuang import __version__
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.packages.supply_chain.golang.chain import Verified
from pytest_xinchuang.packages.supply_chain.golang.check import SupplyChain


def cyclonedx(chain: SupplyChain, version: str = "") -> str:
    """A CycloneDX 1.6 document of a module and what it is built from; call it after :meth:`SupplyChain.run`.

    The SHA-256 of a component is the one inside its h1 hash, computed from the published files; a component without it could
    not be fetched. The document is the same for the same inputs: its time is SOURCE_DATE_EPOCH, or left out.
    """
    with optional("supply_chain"):
        from cyclonedx.model import HashAlgorithm, HashType, Property
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
        from packageurl import PackageURL

    def purl(path: str, at: str) -> PackageURL:
        namespace, _, name = path.rpartition("/")
        return PackageURL("golang", namespace or None, name, at or None)

    root = Component(
        type=ComponentType.LIBRARY,
        name=chain.go_mod.path,
        version=version or None,
        purl=purl(chain.go_mod.path, version),
        bom_ref=f"{chain.go_mod.path}@{version}",
    )
    bom = Bom()
    bom.metadata.component = root
    bom.metadata.tools.components.add(
        Component(
            type=ComponentType.APPLICATION, name="pytest-xinchuang", version=__version__, bom_ref="pytest-xinchuang"
        )
    )
    indirect = {chain.real(r.module): r.indirect for r in chain.go_mod.requires}
    vendored = {v.real for v in chain.vendored or () if v.packages}
    parts = []
    for module in chain.published:
        found = chain.verified.get(module)
        hashes = []
        properties = [Property(name="xc:indirect", value=str(indirect.get(module, True)).lower())]
        if isinstance(found, Verified):
            digest = base64.b64decode(found.h1.removeprefix("h1:")).hex()
            hashes.append(HashType(alg=HashAlgorithm.SHA_256, content=digest))
            properties.append(Property(name="xc:go:h1", value=found.h1))
        if module in vendored:
            properties.append(Property(name="xc:go:vendored", value="true"))
        parts.append(
            Component(
                type=ComponentType.LIBRARY,
                name=module.path,
                version=module.version,
                purl=purl(module.path, module.version),
                bom_ref=str(module),
                hashes=hashes,
                properties=properties,
            )
        )
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(root, parts)
    names = "\n".join(sorted(str(p.bom_ref) for p in parts))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{root.bom_ref}\n{names}")
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    bom.metadata.timestamp = datetime.datetime.fromtimestamp(int(epoch) if epoch else 0, datetime.UTC)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"
