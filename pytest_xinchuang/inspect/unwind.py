"""Where functions begin and end, from the unwind table: it is there even in an object that was stripped of its symbols."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

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
    base = None
    for start, frame in rows:
        # The frame description entries lie in one section: one look-up of where that is mapped serves all.
        if base is None:
            place = at(address + frame)
            if place is None:
                return
            base = place - frame
        here = base + frame
        if here < 0 or here + 16 > len(data):
            continue
        size = int(struct.unpack_from(order + "I", data, here + 12)[0])
        yield address + start, size
