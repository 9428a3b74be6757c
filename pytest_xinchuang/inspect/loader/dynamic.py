"""What a loader refuses, or gives up on by an assertion, in an object's headers and dynamic segment.

Sources: glibc, elf/dl-load.c (open_verify, _dl_map_object_from_fd), get-dynamic-info.h, dl-setup_hash.c, dl-version.c;
musl, ldso/dynlink.c (map_library).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.elf_odd import Odd
from pytest_xinchuang.inspect.loader.refusal import Ground, Refusal
from pytest_xinchuang.messages import Message, _, joined, verbatim

LIBRARY = re.compile(r"\.so(?:\.[0-9.]+)?$|\.node$")
"""Names of what is opened as a library."""

# What glibc's loader asserts (it goes on in no release), and what it has an error for.
_GIVEN_UP: Mapping[Odd, Message] = {
    Odd.RELA_ENTRY: _("DT_RELAENT is not 24"),
    Odd.PLT_KIND: _("DT_PLTREL is not DT_RELA"),
    Odd.RELR_ENTRY: _("DT_RELRENT is not 8"),
    Odd.NEEDS: _("its version needs are of an unknown version"),
    Odd.DEFINITIONS: _("its version definitions are of an unknown version"),
    Odd.BLOOM: _("the filter of DT_GNU_HASH has a size that is no power of two"),
}


def dynamic(elf: ElfObject, ground: Ground, path: str) -> Iterator[Refusal]:
    """What is wrong with the headers and the dynamic segment of an object that lies at ``path``."""
    named = LIBRARY.search(path) is not None
    wrong: list[Message] = []
    if ground.libc == "glibc":
        if Odd.VERSION in elf.odd and not elf.program:
            wrong.append(_("its header is of an unknown version of ELF"))
        # A program whose dynamic segment nobody reads is static.
        wrong += [text for odd, text in _GIVEN_UP.items() if odd in elf.odd and (elf.dynamic or not elf.program)]
    if elf.kind == "dyn" and named and Odd.NO_DYNAMIC in elf.odd and elf.interpreter is None:
        wrong.append(_("it has no dynamic segment"))
    if wrong:
        yield Refusal("XC-ELF-034", Certainty.CERTAIN, {"what": joined(wrong)})
    if not named or ground.libc != "glibc" or (why := _closed(elf, ground)) is None:
        return
    reason, known = why
    # A program may have such a name, and a library that is linked with is loaded all the same.
    opened = elf.interpreter is None and elf.soname is None
    certainty = Certainty.GUARDED if not opened else Certainty.CERTAIN if known else Certainty.UNDECIDED
    yield Refusal("XC-ELF-055", certainty, {"why": reason})


def _closed(elf: ElfObject, ground: Ground) -> tuple[Message, bool] | None:
    """Why dlopen refuses an object, and whether that is known of this release; None: it does not."""
    # A static program was meant for nothing else, whatever its name.
    if elf.kind == "exec" and Odd.NO_DYNAMIC not in elf.odd:
        return _("it is a program at fixed addresses (ET_EXEC)"), True
    if Odd.PIE in elf.odd and ground.at_least(2, 30) is not False:
        return _("it is a program ({flag}), which glibc opens no more since 2.30", flag=verbatim("DF_1_PIE")), (
            ground.at_least(2, 30) is True
        )
    if Odd.NO_OPEN in elf.odd:
        return _("it may not be opened late ({flag})", flag=verbatim("DF_1_NOOPEN")), True
    return None
