"""Where functions begin and end, from the unwind table: it is there even in an object that was stripped of its symbols."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import chain

# LSB Core, exception frames: DW_EH_PE_datarel | DW_EH_PE_sdata4, and DW_EH_PE_udata4 for the count.
_TABLE, _COUNT = 0x3B, 0x03


def unwind_starts(
    data: bytes, order: str, offset: int, address: int, at: Callable[[int], int | None]
) -> Iterator[tuple[int, int]]:
    """(address, size) of each function that .eh_frame_hdr lists, at ``offset`` in the file and ``address`` in memory."""
    if offset + 12 > len(data) or data[offset] != 1 or data[offset + 2] != _COUNT or data[offset + 3] != _TABLE:
        return
    count = int(struct.unpack_from(order + "I", data, offset + 8)[0])
    count = min(count, (len(data) - offset - 12) // 8)
    rows = struct.iter_unpack(order + "ii", data[offset + 12 : offset + 12 + 8 * count])
    first = next(rows, None)
    # The frame description entries lie in one section: one look-up of where that is mapped serves all.
    place = at(address + first[1]) if first is not None else None
    if first is None or place is None:
        return
    base = place - first[1] + 12
    length, last = struct.Struct(order + "I").unpack_from, len(data) - 4
    for start, frame in chain((first,), rows):
        here = base + frame
        if 12 <= here <= last:
            yield address + start, length(data, here)[0]
