"""An index of Python packages: which files it has of a release (PEP 503, 691: the simple repository API)."""

from __future__ import annotations

import json
import os
import posixpath
import re
import urllib.parse
from html.parser import HTMLParser

from pytest_xinchuang.advise.python.locks import normalized
from pytest_xinchuang.advise.registries import Registry
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.tools.defaults import address

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.files: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href") if tag == "a" else None
        if target:
            self.files.append(posixpath.basename(urllib.parse.unquote(urllib.parse.urlsplit(target).path)))


def index_url() -> str:
    """The index that pip is told to ask by the environment, else its default.

    Raises:
        HostFault: it is not known.
    """
    return (os.environ.get("PIP_INDEX_URL") or address("pypi")).rstrip("/") + "/"


def files_of(registry: Registry, name: str) -> tuple[str, ...]:
    """The files that the index has of a project, of all releases.

    Raises:
        HostFault: it does not know the project, or does not answer.
    """
    url = f"{index_url()}{urllib.parse.quote(normalized(name))}/"
    data = registry.get(url, {"Accept": ACCEPT})
    if data is None:
        raise HostFault(_("the index has no project {name}", name=verbatim(name)))
    text = data.decode(errors="replace")
    if text.lstrip().startswith("{"):
        try:
            return tuple(str(file["filename"]) for file in json.loads(text)["files"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise HostFault(_("{url} answers with what is no list of files", url=verbatim(url))) from error
    links = _Links()
    links.feed(text)
    return tuple(links.files)


def of_version(files: tuple[str, ...], name: str, version: str) -> tuple[str, ...]:
    """Those of one release, by the version in their names."""
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
    from packaging.version import InvalidVersion, Version

    try:
        wanted = Version(version)
    except InvalidVersion:
        return ()
    found = []
    for file in files:
        try:
            if file.endswith(".whl"):
                number = parse_wheel_filename(file)[1]
            elif file.endswith((".tar.gz", ".zip")):
                number = parse_sdist_filename(file)[1]
            else:
                continue
        except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
            # Older names of source distributions have no one separator.
            plain = re.sub(r"(\.tar\.(gz|bz2|xz)|\.zip)$", "", file)
            if normalized(plain).startswith(normalized(name)) and plain.endswith(f"-{version}"):
                found.append(file)
            continue
        if number == wanted:
            found.append(file)
    return tuple(found)
