"""npm's cache: answers of the registry by address, and contents by digest (npm, cacache and make-fetch-happen)."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

from pytest_xinchuang.packages.supply_chain.locked import Digest, integrity

_KEY = "make-fetch-happen:request-cache:"


def npm_cache() -> Path:
    """The cache of the user who runs this (npm, config, cache)."""
    named = next((v for k, v in os.environ.items() if k.lower() == "npm_config_cache"), "")
    return Path(named) if named else Path.home() / ".npm"


class Cacache:
    """A cache in a directory: its own, or the one with ``_cacache`` in it."""

    def __init__(self, place: Path) -> None:
        self.root = place / "_cacache" if (place / "_cacache").is_dir() else place

    def __bool__(self) -> bool:
        return (self.root / "content-v2").is_dir()

    def content(self, digest: Digest) -> Path | None:
        """The content that was stored under a digest; whether it has it still is to be seen."""
        path = self.root / "content-v2" / digest.algorithm / digest.hex[:2] / digest.hex[2:4] / digest.hex[4:]
        return path if path.is_file() else None

    def answer(self, url: str) -> Path | None:
        """What the registry answered for an address, last."""
        key = _KEY + url
        name = hashlib.sha256(key.encode()).hexdigest()
        bucket = self.root / "index-v5" / name[:2] / name[2:4] / name[4:]
        try:
            lines = bucket.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return None
        for line in reversed(lines):
            checksum, _tab, text = line.partition("\t")
            if hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() != checksum:
                continue
            try:
                said = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(said, dict) and said.get("key") == key:
                digests = integrity(str(said.get("integrity") or ""))
                return self.content(digests[0]) if digests else None
        return None


def sri(digest: Digest) -> str:
    """A digest as Subresource Integrity has it."""
    return f"{digest.algorithm}-{base64.b64encode(bytes.fromhex(digest.hex)).decode()}"
