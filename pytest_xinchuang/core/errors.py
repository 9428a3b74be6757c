"""Errors that a user may meet. Each says what was found, what was expected, why it matters and the mend."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pytest_xinchuang.messages import Message


_NOTHING = cast("Message", "")


class XcError(Exception):
    """A problem that is the user's or the host's to mend; shown without a traceback.

    Args:
        what: what was found, in one sentence; a message keeps its languages.
        mend: the exact command or edit that puts it right, if one is known.
    """

    def __init__(self, what: Message, *, mend: Message = _NOTHING) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        return self.render("en")

    def render(self, language: str) -> str:
        """The error with its mend, in a language."""
        return self.told.render(language)

    @property
    def told(self) -> Message:
        """The error with its mend, as a message."""
        from pytest_xinchuang.messages import _, verbatim  # here: who meets no error need not wait for it

        what, mend = verbatim(self.what), verbatim(self.mend)
        return _("{what}\n  mend: {mend}", what=what, mend=mend) if self.mend else what


class DataFileError(XcError):
    """A YAML file of ours or of the user's that does not say what it may say."""


class UnknownName(XcError):
    """A platform, requirement or suite name that nobody defined."""


class Lacking(StrEnum):
    """What a fault of the host is about, where a verdict depends on it."""

    ANYTHING = "anything"
    STAND_IN = "stand-in"
    """Nothing stands in for what the platform runs on: only its own root filesystem or a board could decide."""


class HostFault(XcError):
    """The host cannot do what was asked (a missing tool or kernel feature). Never the subject's failure.

    Attributes:
        lacking: what it is that the host has not got.
    """

    def __init__(self, what: Message, *, mend: Message = _NOTHING, lacking: Lacking = Lacking.ANYTHING) -> None:
        super().__init__(what, mend=mend)
        self.lacking = lacking


class MissingDependency(HostFault):
    """An optional dependency that is not installed. Never the subject's failure.

    Attributes:
        module: the module that could not be imported.
        extra: the extra of the distribution that brings it.
    """

    def __init__(self, module: str, extra: str) -> None:
        # here: who meets no error need not wait for it
        from pytest_xinchuang.core.installing import install_extra
        from pytest_xinchuang.messages import _, verbatim

        super().__init__(
            _("the Python module {module} is not installed", module=verbatim(module)),
            mend=install_extra(extra, [module]),
        )
        self.module = module
        self.extra = extra


class SandboxFault(HostFault):
    """A sandbox that could not be started, or that broke while in use. Never the subject's failure.

    Attributes:
        namespaces: the host refuses the namespaces or mounts of a rootless sandbox; another way may still work.
    """

    def __init__(self, what: Message, *, mend: Message = _NOTHING, namespaces: bool = False) -> None:
        super().__init__(what, mend=mend)
        self.namespaces = namespaces


class ToolchainFault(HostFault):
    """A tool chain that is missing or broken. Never the subject's failure."""


class BuildFailed(XcError):
    """A compiler that ran and refused the subject's source."""

    def __init__(self, what: Message, *, argv: list[str], output: str) -> None:
        super().__init__(what)
        self.argv = argv
        self.output = output
