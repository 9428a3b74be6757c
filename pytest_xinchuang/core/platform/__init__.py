"""Platforms: a CPU, an OS profile and how to emulate them, as data with a source for every fact."""

from __future__ import annotations

from pytest_xinchuang.core.platform.cpus import Architecture, Cpu, Emulation, Machine
from pytest_xinchuang.core.platform.facts import NOT_GIVEN, Arch, Confidence, Fact, Name, RootfsName, Version
from pytest_xinchuang.core.platform.file import KernelRecipe, PlatformsFile, RootfsRecipe, StandIns, Unsupported
from pytest_xinchuang.core.platform.registry import INHERITING, Platform, Platforms, load_platforms
from pytest_xinchuang.core.platform.systems import Compressor, OnArch, OsProfile, Software

__all__ = [
    "INHERITING",
    "NOT_GIVEN",
    "Arch",
    "Architecture",
    "Compressor",
    "Confidence",
    "Cpu",
    "Emulation",
    "Fact",
    "KernelRecipe",
    "Machine",
    "Name",
    "OnArch",
    "OsProfile",
    "Platform",
    "Platforms",
    "PlatformsFile",
    "RootfsName",
    "RootfsRecipe",
    "Software",
    "StandIns",
    "Unsupported",
    "Version",
    "load_platforms",
]
