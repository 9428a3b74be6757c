"""Which indexes a Python product names for its tools, and a workspace above that may decide what it is built from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.locked import Lines, Reading
from pytest_xinchuang.packages.supply_chain.textfiles import (
    above,
    has_member,
    listed,
    table,
    tables,
    text_of,
    toml_of,
    words,
)


def read_settings(reading: Reading, directory: Path, named: list[tuple[Lines, dict[str, Any]]]) -> None:
    """Tell of every index that is not trusted, in pyproject.toml, Pipfile (``named``) and uv.toml."""
    lines = text_of(reading, directory, "uv.toml")
    own = toml_of(reading, lines) if lines is not None else None
    for manifest, data in named:
        tool = table(data.get("tool"))
        _indexes(reading, manifest, _of_uv(table(tool.get("uv"))))
        _indexes(reading, manifest, _of_sources(table(tool.get("poetry")).get("source"), "tool.poetry.source"))
        _indexes(reading, manifest, _of_sources(table(tool.get("pdm")).get("source"), "tool.pdm.source"))
        sources(reading, manifest, data.get("source"))
    if lines is not None and own is not None:
        _indexes(reading, lines, _of_uv(own))
    for path, data in above(directory, "pyproject.toml", toml_of):
        members = table(table(table(data.get("tool")).get("uv")).get("workspace")).get("members")
        if has_member(path.parent, listed(members), directory):
            reading.above("pyproject.toml", path)


def sources(reading: Reading, lines: Lines, found: object) -> None:
    """The sources of Pipfile, or of Pipfile.lock, which has them from it."""
    _indexes(reading, lines, _of_sources(found, "source"))
    for one in tables(found):
        if one.get("verify_ssl") is False:
            setting = verbatim(words(one.get("name")))
            detail = _("{setting}: {why}", setting=setting, why=_("no certificate is checked"))
            reading.add("XC-SUP-145", lines.of("verify_ssl"), detail=detail, host="-")


def _of_uv(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """uv, "Settings": the indexes, the older ways to name them, and directories of links."""
    for one in tables(data.get("index")):
        yield "index", words(one.get("url"))
    for scope in (data, table(data.get("pip"))):
        for key in ("index-url", "extra-index-url", "find-links"):
            said = scope.get(key)
            for url in said if isinstance(said, list) else [said]:
                yield key, words(url)


def _of_sources(found: object, name: str) -> Iterator[tuple[str, str]]:
    for one in tables(found):
        yield name, words(one.get("url"))


def _indexes(reading: Reading, lines: Lines, found: Iterator[tuple[str, str]]) -> None:
    for name, url in found:
        if url:
            reading.takes_from(lines.of(f'url = "{url}"', f'"url": "{url}",', name), url, f"{name} = {url}")
