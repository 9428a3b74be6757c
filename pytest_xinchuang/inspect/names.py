"""What the name of a file says of it."""

from __future__ import annotations

import re

from pytest_xinchuang.inspect.kernel_module import is_symvers

KEPT_TEXTS = (
    "WHEEL",
    "METADATA",
    "pom.xml",
    "pom.properties",
    "MANIFEST.MF",
    "index.json",
    "manifest.json",
    "oci-layout",
    "repositories",
    "os-release",
    "control",
    "package.json",
    "preinst",
    "postinst",
    "release",
)

_LD_SO_CONF = re.compile(r"(?:^|/)etc/ld\.so\.conf(?:\.d/[^/]+\.conf)?$")
"""Where a root file system names its loader's directories (ldconfig(8))."""

SCRIPTS = (".sh", ".bash", ".run", ".py", ".pl", ".rb", ".js", ".mjs", ".cjs", ".lua", ".tcl", ".php", ".ps1")
"""Ends of names of texts that are run."""


def is_blob(name: str) -> bool:
    """Whether a name is that of a blob of an OCI layout."""
    return "blobs/" in name and re.search(r"(?:^|/)blobs/[a-z0-9+._-]+/[0-9a-f]{32,}$", name) is not None


def is_text(name: str) -> bool:
    """Whether a file of this name says something of the whole."""
    last = name.rpartition("/")[2]
    # Older Docker engines save an image's configuration under its digest.
    saved = re.fullmatch(r"[0-9a-f]{64}\.json", name) is not None
    return (
        last in KEPT_TEXTS
        or saved
        or name.endswith((".runtimeconfig.json", ".pom"))
        or _LD_SO_CONF.search(name) is not None
        or is_symvers(name)
    )
