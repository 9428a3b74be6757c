"""Locks on files, which end with the process that has them, on Linux, macOS and Windows."""

from __future__ import annotations

import os
import time
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows

    def _lock(descriptor: int, wait: bool, shared: bool) -> None:  # noqa: ARG001
        import msvcrt

        locking, now = getattr(msvcrt, "locking"), getattr(msvcrt, "LK_NBLCK")  # noqa: B009 - unknown to the types of Linux
        while True:
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            try:
                return locking(descriptor, now, 1)  # type: ignore[no-any-return]
            except PermissionError as error:
                if not wait:
                    raise BlockingIOError(*error.args) from error
            time.sleep(_LOOK_S)

else:

    def _lock(descriptor: int, wait: bool, shared: bool) -> None:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))


_FAR = 1 << 30
"""Windows locks bytes, and lets nobody else read them: one far behind the end is nobody's."""

_LOOK_S = 0.05
"""Seconds between two tries there."""


def lock(file: IO[Any] | int, *, wait: bool = False, shared: bool = False) -> None:
    """Lock an open file (or its descriptor) until it is closed.

    Args:
        wait: whether to wait until nobody else has it.
        shared: whether others may have such a lock as well; Windows knows none of this kind.

    Raises:
        BlockingIOError: another process has it.
        OSError: the file system has no locks.
    """
    _lock(file if isinstance(file, int) else file.fileno(), wait, shared)
