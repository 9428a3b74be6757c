"""What differs between two Cargo.toml, for those who depend on the crate (Cargo reference)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Facts = Mapping[str, Any]
Found = tuple[str, str, str, str]


def compare_promises(before: Facts, after: Facts) -> Iterator[Found]:
    """The differences of features, of the least Rust, and of the kind of crate."""
    crate = before["package"]
    old, new = before["features"], after["features"]
    for name, enabled in old.items():
        label = f"{crate}[{name}]"
        if name == "default":
            continue
        if name not in new:
            if not name.startswith("_"):
                yield "RUST-FEATURE-REMOVED", label, name, ""
            continue
        if lost := sorted(set(enabled) - _closure(new, name)):
            yield "RUST-FEATURE-ENABLES-LESS", label, ", ".join(lost), ""
    for name in new:
        if name not in old and name != "default":
            yield "RUST-FEATURE-ADDED", f"{crate}[{name}]", "", name
    for name in sorted(set(before["defaults"]) - set(after["defaults"])):
        if name in new or name not in old:
            yield "RUST-FEATURE-NOT-DEFAULT", f"{crate}[{name}]", name, ""
    if _rust(after["rust_version"]) > _rust(before["rust_version"]):
        yield "RUST-MSRV-RAISED", f"{crate}(rust-version)", before["rust_version"], after["rust_version"]
    if before["edition"] != after["edition"]:
        yield "RUST-EDITION-CHANGED", f"{crate}(edition)", before["edition"], after["edition"]
    if before["proc_macro"] != after["proc_macro"] or (
        ({"lib", "rlib"} & set(before["kinds"])) and not ({"lib", "rlib", "dylib"} & set(after["kinds"]))
    ):
        yield "RUST-CRATE-KIND-CHANGED", f"{crate}(crate-type)", ", ".join(before["kinds"]), ", ".join(after["kinds"])
    if before["package"] != after["package"]:
        yield "RUST-CRATE-RENAMED", crate, before["package"], after["package"]
    if before["links"] != after["links"]:
        yield "RUST-LINKS-CHANGED", f"{crate}(links)", before["links"], after["links"]


def _closure(features: Mapping[str, Any], name: str) -> set[str]:
    found: set[str] = set()
    left = [name]
    while left:
        for one in features.get(left.pop(), ()):
            if one not in found:
                found.add(one)
                left.append(one)
    return found


def _rust(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall("[0-9]{1,9}", text)[:3])
