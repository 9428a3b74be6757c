"""The section ``supply_chain`` of the manifest."""

from __future__ import annotations

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.subject import Section


class SupplyChainSection(FrozenData):
    """What a product is built from. What vouches for it is not the subject's to say: see the options.

    Attributes:
        path: the product's directory, beside the manifest.
        mirror: the mirror that the product is built from: a directory beside the manifest, or a URL.
        sbom: the CycloneDX document that is delivered.
        images: container images (OCI layouts, or what docker save writes) and root filesystems that are delivered.
    """

    path: str = "."
    mirror: str = ""
    sbom: str = ""
    images: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Every file or directory beside the manifest that it names."""
        return [name for name in (self.path, self.mirror, self.sbom, *self.images) if name and "://" not in name]


SUPPLY_CHAIN = Section(
    "supply_chain", SupplyChainSection, "what a product is built from", files=lambda section: section.names
)
