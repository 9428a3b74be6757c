"""Grade a product L1 to L4 on Chinese 信创 platforms, from pytest, with evidence."""

from pytest_xinchuang import _python

# Before anything that an older Python cannot even read.
_python.require()

__version__ = "0.1.0"
