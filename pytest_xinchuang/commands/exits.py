"""The exit codes of ``xc``."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code of every ``xc`` command says."""

    CLEAN = 0
    """The command did its work and found nothing to mend."""
    FINDINGS = 1
    """Something was found that has to be mended, or a grade is below the wanted one."""
    ERROR = 2
    """The command was used wrongly, or could not do its work."""
    INCOMPLETE = 3
    """Nothing certain was found, but something could not be read or is not known."""
    COMPATIBLE = 4
    """``xc api diff`` alone: something changed, and it breaks nobody."""
    INTERRUPTED = 130
    """The user has interrupted the command, as shells number it: 128 and SIGINT."""
