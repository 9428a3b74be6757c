"""Settings of the go command: the system, the architecture, and its level."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.toolchain.flags.ask import Asker
from pytest_xinchuang.toolchain.flags.features import LEVELS
from pytest_xinchuang.toolchain.flags.found import DROP, Found

_LEVEL = {Arch.AMD64: "GOAMD64", Arch.ARM64: "GOARM64"}
_ARM64 = {
    "v8.0": (),
    "v8.1": ("atomics", "asimdrdm", "crc32"),
    "v8.2": ("dcpop",),
    "v8.3": ("lrcpc", "fcma", "jscvt", "paca", "pacg"),
    "v8.4": ("asimddp", "flagm", "ilrcpc", "uscat", "dit"),
    "v8.5": ("flagm2", "frint", "sb"),
    "v8.6": ("bf16", "i8mm"),
    "v8.7": ("wfxt",),
    "v8.8": ("mops",),
    "v8.9": ("cssc",),
}
"""What a level of the architecture adds that a program may use (Arm ARM, chapter A2); v9 is v8.5 with SVE2."""

OPTIONS = {"lse": ("atomics",), "crypto": ("aes", "pmull", "sha1", "sha2")}
"""Options of GOARM64 (`go help environment`)."""


def judge_go(settings: Mapping[str, str], platform: Platform, found: Found, asker: Asker) -> None:
    """Judge variables of the go command."""
    arch = settings.get("GOARCH", platform.arch.value)
    if arch != platform.arch.value:
        found.foreign(f"GOARCH={arch}", _("its compiler makes code for another architecture"))
    if (system := settings.get("GOOS", "linux")) != "linux":
        found.foreign(f"GOOS={system}", _("it makes programs for another system"))
    if arch != platform.arch.value or system != "linux":
        return
    name = _LEVEL.get(platform.arch, "")
    if value := settings.get(name, ""):
        _level(name, value, platform, found, asker)
    if "GOFLAGS" in settings and re.search(r"GO(?:AMD64|ARM64)_v\d|-toolexec|-overlay", settings["GOFLAGS"]):
        found.open(
            f"GOFLAGS={settings['GOFLAGS']}", _("it changes what the compiler does, and it cannot be asked about it")
        )


def _level(name: str, value: str, platform: Platform, found: Found, asker: Asker) -> None:
    flag = f"{name}={value}"
    level, *options = value.split(",")
    try:
        tags = asker.go_tags((("GOARCH", platform.arch.value), ("GOOS", "linux"), (name, value)))
    except HostFault as fault:
        found.open(flag, _("no go command could be asked: {why}", why=verbatim(fault.what)), verbatim(fault.mend))
        return
    if tags is None or f"{platform.arch.value}.{level}" not in tags or set(options) - OPTIONS.keys():
        found.open(flag, _("the go command here does not know it"))
        return
    wants: set[str] = set()
    if platform.arch is Arch.AMD64:
        wants |= LEVELS.get(f"x86-64-{level}", frozenset())
    else:
        wants |= _arm_level(level)
    named = {feature for option in options for feature in OPTIONS[option]}
    limit = (platform.cpu.go_env.value or {}).get(name, "")
    found.uses(flag, frozenset(wants | named), frozenset(named), advice=verbatim(f"{name}={limit}") if limit else DROP)


def _arm_level(level: str) -> set[str]:
    number = version_key(level.lstrip("v"))
    if number >= (9,):
        return {"sve2", *(f for features in _ARM64.values() for f in features)}
    return {f for name, features in _ARM64.items() if version_key(name.lstrip("v")) <= number for f in features}
