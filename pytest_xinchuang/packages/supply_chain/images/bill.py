"""The bill of materials of an image or a root filesystem."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_xinchuang.packages.supply_chain.images.part import Inside, Part
from pytest_xinchuang.packages.supply_chain.licences import expression
from pytest_xinchuang.packages.supply_chain.sbom import Part as Component
from pytest_xinchuang.packages.supply_chain.sbom import Root, as_cyclonedx, as_spdx


def bill(inside: Inside, name: str, form: str = "cyclonedx") -> str:
    """What was found, as CycloneDX 1.6 or SPDX 2.3; the same package in several places is one component of the document.

    Args:
        name: of the image.
        form: ``cyclonedx`` or ``spdx``.
    """
    by_ref: dict[str, list[Part]] = {}
    for part in inside.parts:
        words = (part.kind, part.namespace, part.name, part.version, part.qualifiers.get("arch", ""), part.sha256)
        by_ref.setdefault(":".join(words), []).append(part)
    components = [_component(ref, parts) for ref, parts in sorted(by_ref.items())]
    # An OCI package URL has the digest of a manifest for its version, and an archive does not say which registry has it.
    write = as_spdx if form == "spdx" else as_cyclonedx
    return write(Root(name, "", "oci", ""), components)


def _component(ref: str, parts: Sequence[Part]) -> Component:
    first = parts[0]
    return Component(
        ref,
        first.kind,
        first.namespace,
        first.name,
        first.version,
        first.name if first.kind in ("deb", "rpm", "apk", "generic") else first.advised_as[0],
        (("sha256", first.sha256),) if first.sha256 else (),
        expression(first.licence) or "",
        tuple(("xc:path", part.where) for part in parts),
        tuple(sorted(first.qualifiers.items())),
    )
