"""Exit codes of ``xc``, and what a room is handed to add its commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_xinchuang.core.platform import Platforms

EXIT_CLEAN, EXIT_FINDINGS, EXIT_ERROR, EXIT_INCOMPLETE = 0, 1, 2, 3
"""Nothing that the platform cannot do with; such a thing was found; nothing could be inspected; nothing certain was found, but
something could not be read or is not known."""

Command = Callable[[str, object, str], argparse.ArgumentParser]
Load = Callable[[argparse.Namespace], "Platforms"]
