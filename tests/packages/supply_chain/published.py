"""A small world of published modules: a GOPROXY directory, and a subject that is built from it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pytest_xinchuang.tools.go import find_go

LIB = {
    "go.mod": "module example.org/lib\n\ngo 1.22\n\nrequire example.org/base v1.0.0\n",
    "lib.go": 'package lib\n\nimport "example.org/base"\n\n// F is used.\nfunc F() int { return base.B }\n',
    "lib_arm64.go": "package lib\n\nconst Arch = 1\n",
    "gen.go": "//go:build ignore\n\npackage main\n",
    "lib_test.go": "package lib\n",
    "LICENSE": "none\n",
    "unused/u.go": "package unused\n",
}
BASE = {"go.mod": "module example.org/base\n\ngo 1.22\n", "base.go": "package base\n\nconst B = 1\n"}
SUBJECT = {
    "go.mod": "module example.com/product\n\ngo 1.22\n\n"
    "require example.org/lib v1.2.0\n\nrequire example.org/base v1.0.0 // indirect\n",
    "main.go": 'package product\n\nimport "example.org/lib"\n\nfunc Run() int { return lib.F() }\n',
}


def publish(root: Path, path: str, version: str, files: Mapping[str, str]) -> str:
    """Put a module version into a proxy's directory; returns its h1, computed here once more."""
    place = root / path / "@v"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{version}.info").write_text(json.dumps({"Version": version, "Time": "2026-01-02T03:04:05Z"}))
    (place / f"{version}.mod").write_text(files.get("go.mod", f"module {path}\n"))
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"{path}@{version}/{name}", text)
    (place / f"{version}.zip").write_bytes(data.getvalue())
    with (place / "list").open("a") as listed:
        listed.write(version + "\n")
    return hashlib.sha256(data.getvalue()).hexdigest()


def go(words: list[str], cwd: Path, proxy: str, home: Path) -> str:
    """Run the go command against a proxy, with a module cache of its own."""
    environment = {
        **os.environ,
        "GOPROXY": proxy,
        "GOSUMDB": "off",
        "GOFLAGS": "-mod=mod -modcacherw",
        "GOTOOLCHAIN": "local",
        "GOMODCACHE": str(home / "mod"),
        "GOCACHE": str(home / "build"),
        "GOWORK": "off",
        "HOME": str(home),
    }
    done = subprocess.run([find_go(), *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def world(directory: Path) -> tuple[Path, Path]:
    """The proxy's directory, and the subject's, with go.sum and vendor/ as the go command writes them."""
    proxy, subject = directory / "proxy", directory / "subject"
    publish(proxy, "example.org/lib", "v1.2.0", LIB)
    publish(proxy, "example.org/base", "v1.0.0", BASE)
    for name, text in SUBJECT.items():
        (subject / name).parent.mkdir(parents=True, exist_ok=True)
        (subject / name).write_text(text)
    url = f"file://{proxy}"
    go(["mod", "tidy"], subject, url, directory)
    go(["mod", "vendor"], subject, url, directory)
    return proxy, subject
