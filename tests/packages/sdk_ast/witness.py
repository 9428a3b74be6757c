"""Compiles clients of two versions of a library: what a rule says, shown by the Go compiler."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.tools.go import find_go

SECTION = re.compile(r"^-- (\S+) --\n", re.M)


@dataclass(frozen=True)
class Case:
    """Two versions and a client; ``number`` names its place."""

    number: int
    name: str
    old: str
    new: str
    client: str
    breaks: bool

    def files(self, version: str) -> dict[str, str]:
        """The library's files of a version, and the client's, by path below the module."""
        text = self.old if version == "old" else self.new
        parts = SECTION.split(text)
        files = {"p/p.go": f"package p\n\n{parts[0]}\n"}
        files |= {f"p/{name}": content for name, content in zip(parts[1::2], parts[2::2], strict=True)}
        files["client/c.go"] = f'package client\n\nimport p "w/p"\n\n{self.client}\n'
        return {f"c{self.number}/{k}": v.replace('"w/p', f'"w/c{self.number}/p') for k, v in files.items()}


def write(cases: list[Case], directory: Path) -> None:
    """Two modules, ``old`` and ``new``, with all cases in them."""
    for version in ("old", "new"):
        root = directory / version
        root.mkdir(parents=True, exist_ok=True)
        (root / "go.mod").write_text("module w\n\ngo 1.23\n")
        for case in cases:
            for name, text in case.files(version).items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)


def broken(root: Path, cache: Path) -> dict[str, str]:
    """The packages of a module that do not build, with what the compiler says first."""
    environment = {
        **os.environ,
        "GOFLAGS": "-mod=mod",
        "GOTOOLCHAIN": "local",
        "GOPROXY": "off",
        "GOWORK": "off",
        "GOCACHE": str(cache / "gocache"),
    }
    go = find_go()
    listed = subprocess.run(
        [go, "list", "-e", "-json=ImportPath,Error,DepsErrors", "./..."],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str] = {}
    good = []
    decoder, at = json.JSONDecoder(), 0
    text = listed.stdout
    while at < len(text):
        item: dict[str, Any]
        item, at = decoder.raw_decode(text, at)
        while at < len(text) and text[at].isspace():
            at += 1
        errors = item.get("DepsErrors") or []
        if item.get("Error") or errors:
            found[item["ImportPath"]] = (item.get("Error") or errors[0])["Err"]
        else:
            good.append(item["ImportPath"])
    built = subprocess.run([go, "build", *good], cwd=root, env=environment, capture_output=True, text=True, check=False)
    current = ""
    for line in built.stderr.splitlines():
        if line.startswith("# "):
            current = line[2:]
        elif current and current not in found:
            found[current] = line
    return found
