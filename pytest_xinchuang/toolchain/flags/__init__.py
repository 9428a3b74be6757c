"""Flags of a build against a platform's libc, kernel and CPU, as the compilers themselves understand them."""

from __future__ import annotations

from pytest_xinchuang.toolchain.flags.ask import Asker
from pytest_xinchuang.toolchain.flags.found import LACKS_FACT
from pytest_xinchuang.toolchain.flags.judge import check_flags, check_lines
from pytest_xinchuang.toolchain.flags.manual import LIBCS
from pytest_xinchuang.toolchain.flags.sources import Line, read_source

__all__ = ["LACKS_FACT", "LIBCS", "Asker", "Line", "check_flags", "check_lines", "read_source"]
