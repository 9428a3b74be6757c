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

KINDS = (WHOLE, HASHES, TREES, ALLOWED, FROZEN)

_FIRST: Mapping[tuple[str, ...], int] = {
    ("npm",): 100,
    ("pypi",): 110,
    ("cargo",): 120,
    ("maven",): 130,
    ("conan", "vcpkg"): 140,
}

ASKED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    f"XC-CHAIN-{first + index}": (ecosystems, codes)
    for ecosystems, first in _FIRST.items()
    for index, codes in enumerate(KINDS)
    if (ecosystems, codes) != (("conan", "vcpkg"), TREES)
}
"""Requirement -> the ecosystems that it is about, and the codes that decide it. Conan and vcpkg lay out what they built."""

INSIDE, BASES, FROZEN_INSIDE = "XC-CHAIN-150", "XC-CHAIN-151", "XC-CHAIN-152"
OF_IMAGES: Mapping[str, tuple[str, ...]] = {
    INSIDE: ("XC-SUP-190",),
    BASES: ("XC-SUP-192", "XC-SUP-195"),
    FROZEN_INSIDE: ("XC-SUP-033", "XC-SUP-134", "XC-SUP-190", "XC-SUP-194"),
}
"""Requirement of images -> the codes that decide it. Of what cannot be read nobody knows whether an advisory names it."""
