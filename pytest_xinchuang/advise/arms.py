"""The names of machines that code compares with, and whether a platform's own is among them."""

from __future__ import annotations

from collections.abc import Iterable

KNOWN_X86 = frozenset({"x86_64", "amd64", "x64", "x86-64", "linux-x86_64", "linux-amd64", "linux-x64"})
"""What those who compare call the machine on which they work."""

_LEAST = 2
"""Characters of a word that is looked for in a name: ``64`` is one."""


def names_machine(names: Iterable[str], name: str, aliases: Iterable[str]) -> bool:
    """Whether a machine is among some words: by its name, another one of its names, or a part that stands in its name.

    Args:
        names: in lower case; what a comparison, a look-up or a look within has.
    """
    known = {name, f"linux-{name}", *aliases}
    return any(word in known or (len(word) >= _LEAST and word in name) for word in names)
