"""How far a sandbox is believed: what it says of itself, and who vouches for that."""

from __future__ import annotations

from pytest_xinchuang.core.events import SandboxOpened
from pytest_xinchuang.core.journal import Journal
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import Message, _


def believed(sandbox: SandboxOpened) -> Fidelity:
    """The fidelity of what runs in a sandbox.

    Only a backend that the suite ships, or this host itself, can show that something is native: of anybody else's it is a word.
    """
    if not isinstance(sandbox.fidelity, Fidelity):
        return Fidelity.STATIC
    if sandbox.fidelity >= Fidelity.NATIVE and sandbox.plugin and not sandbox.confirmed:
        return Fidelity.EMULATED_USER
    return sandbox.fidelity


def ceiling(journal: Journal, platform: str) -> Fidelity | None:
    """The fidelity that no decision of a platform is above, where a sandbox is not believed; None: each is what it says.

    Reading keeps decisions to what sandboxes say of themselves.
    """
    opened = journal.sandboxes.get(platform, [])
    if all(believed(sandbox) == sandbox.fidelity for sandbox in opened):
        return None
    return max(map(believed, opened))


def more_than_seen(said: Fidelity, seen: Fidelity) -> Message:
    """Why a decision is not believed: no sandbox was of its fidelity."""
    return _("it says {said}, and its sandboxes are {seen} at best", said=said.word, seen=seen.word)


def caution(sandbox: SandboxOpened) -> Message | None:
    """What a reader has to know of a sandbox's word for itself; None: nothing."""
    if not sandbox.plugin or not isinstance(sandbox.fidelity, Fidelity):
        return None
    if believed(sandbox) < sandbox.fidelity:
        return _(
            "the backend {backend} of {plugin} says {said}; nothing confirms it, and it counts as {counted}",
            backend=sandbox.backend,
            plugin=sandbox.plugin,
            said=sandbox.fidelity.word,
            counted=believed(sandbox).word,
        )
    return _(
        "the backend {backend} is of {plugin}: {said} is its own word",
        backend=sandbox.backend,
        plugin=sandbox.plugin,
        said=sandbox.fidelity.word,
    )
