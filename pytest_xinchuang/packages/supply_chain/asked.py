"""Which findings decide which requirement, for the ecosystems of packages."""

from __future__ import annotations

from collections.abc import Mapping

WHOLE = ("XC-SUP-100", "XC-SUP-101", "XC-SUP-102", "XC-SUP-103", "XC-SUP-110", "XC-SUP-119", "XC-SUP-160")
HASHES = (
    "XC-SUP-104",
    "XC-SUP-105",
    "XC-SUP-106",
    "XC-SUP-107",
    "XC-SUP-108",
    "XC-SUP-109",
    "XC-SUP-111",
    "XC-SUP-112",
    "XC-SUP-113",
    "XC-SUP-115",
    "XC-SUP-117",
    "XC-SUP-125",
    "XC-SUP-145",
    "XC-SUP-147",
    "XC-SUP-151",
    "XC-SUP-152",
)
TREES = (
    "XC-SUP-120",
    "XC-SUP-121",
    "XC-SUP-122",
    "XC-SUP-123",
    "XC-SUP-124",
    "XC-SUP-126",
    "XC-SUP-127",
    "XC-SUP-128",
)
ALLOWED = ("XC-SUP-030", "XC-SUP-031", "XC-SUP-032", "XC-SUP-134")
FROZEN = ("XC-SUP-033", "XC-SUP-134")

ASKED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "XC-CHAIN-100": (("npm",), WHOLE),
    "XC-CHAIN-101": (("npm",), HASHES),
    "XC-CHAIN-102": (("npm",), TREES),
    "XC-CHAIN-103": (("npm",), ALLOWED),
    "XC-CHAIN-104": (("npm",), FROZEN),
    "XC-CHAIN-110": (("pypi",), WHOLE),
    "XC-CHAIN-111": (("pypi",), HASHES),
    "XC-CHAIN-112": (("pypi",), TREES),
    "XC-CHAIN-113": (("pypi",), ALLOWED),
    "XC-CHAIN-114": (("pypi",), FROZEN),
    "XC-CHAIN-120": (("cargo",), WHOLE),
    "XC-CHAIN-121": (("cargo",), HASHES),
    "XC-CHAIN-122": (("cargo",), TREES),
    "XC-CHAIN-123": (("cargo",), ALLOWED),
    "XC-CHAIN-124": (("cargo",), FROZEN),
    "XC-CHAIN-130": (("maven",), WHOLE),
    "XC-CHAIN-131": (("maven",), HASHES),
    "XC-CHAIN-132": (("maven",), TREES),
    "XC-CHAIN-133": (("maven",), ALLOWED),
    "XC-CHAIN-134": (("maven",), FROZEN),
    "XC-CHAIN-140": (("conan", "vcpkg"), WHOLE),
    "XC-CHAIN-141": (("conan", "vcpkg"), HASHES),
    "XC-CHAIN-143": (("conan", "vcpkg"), ALLOWED),
    "XC-CHAIN-144": (("conan", "vcpkg"), FROZEN),
}
"""Requirement -> the ecosystems that it is about, and the codes that decide it. Conan and vcpkg lay out what they built."""

INSIDE, BASES, FROZEN_INSIDE = "XC-CHAIN-150", "XC-CHAIN-151", "XC-CHAIN-152"
OF_IMAGES: Mapping[str, tuple[str, ...]] = {
    INSIDE: ("XC-SUP-190",),
    BASES: ("XC-SUP-192", "XC-SUP-195"),
    FROZEN_INSIDE: ("XC-SUP-033", "XC-SUP-134", "XC-SUP-190", "XC-SUP-194"),
}
"""Requirement of images -> the codes that decide it. Of what cannot be read nobody knows whether an advisory names it."""
