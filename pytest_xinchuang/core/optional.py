"""Dependencies that not everybody needs: an extra of the distribution brings them, and one that is missing is told by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_xinchuang.core.errors import HostFault, MissingDependency, XcError
from pytest_xinchuang.core.installing import install_needed
from pytest_xinchuang.messages import _

EXTRAS = {"inspect": ("numpy", "capstone", "iced_x86", "zstandard"), "docker": ("docker",)}
"""Extra -> the modules that it brings, of those that no conformance package has for itself (``Package.modules``)."""


@contextmanager
def optional(extra: str) -> Iterator[None]:
    """Surrounds the imports of what an extra brings.

    Raises:
        MissingDependency: a module is not installed, or is installed and cannot be loaded.
    """
    try:
        yield
    except ImportError as error:
        name = (error.name or "").partition(".")[0]
        if name == __name__.partition(".")[0]:
            raise  # a module of ours that is not there is a defect
        raise MissingDependency(name or str(error), extra) from error


NEEDED = {
    "pydantic": "pydantic",
    "pydantic_core": "pydantic-core",
    "yaml": "pyyaml",
    "pytest": "pytest",
    "xdist": "pytest-xdist",
    "pluggy": "pluggy",
    "packaging": "packaging",
    "junit_xml": "junit-xml",
    "argcomplete": "argcomplete",
}
"""Module -> package, of what everything here is made with."""


def without_needed(error: ImportError) -> XcError | None:
    """What an import failed by, if that is a package which everything needs; None: it is something else."""
    module = (error.name or "").partition(".")[0]
    if module not in NEEDED:
        return None
    return HostFault(
        _("the Python module {module}, which everything here needs, cannot be loaded: {why}", module=module, why=error),
        mend=install_needed(NEEDED[module]),
    )
