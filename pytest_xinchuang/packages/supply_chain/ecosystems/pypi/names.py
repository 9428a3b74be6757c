"""Names of PyPI, and where a package comes from by its URL."""

from __future__ import annotations

import re
import urllib.parse

from pytest_xinchuang.packages.supply_chain.locked import Origin

PYPI = "pypi"


def of_url(url: str) -> tuple[Origin, str]:
    """Where a package comes from, by the URL of a direct reference (PEP 440; pip, VCS support)."""
    if re.match(r"(git|hg|svn|bzr)\+", url):
        return Origin.GIT, url
    if "://" in url and not url.startswith("file:"):
        return Origin.URL, url
    return Origin.PATH, re.sub(r"\[[^\]]*\]$", "", url.removeprefix("file:").removeprefix("//"))


def leaf(url: str) -> str:
    """The name of the file that a URL leads to."""
    return urllib.parse.unquote(urllib.parse.urlsplit(url).path).rpartition("/")[2]
