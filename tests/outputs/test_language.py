"""The Chinese of the snapshots is Chinese: names, commands and what others have said are all that is not."""

from __future__ import annotations

import re
from pathlib import Path

from tests.messages.english import english_in

SNAPSHOTS = Path(__file__).parent / "__snapshots__"
FOREIGN = ("Invalid wheel filename (wrong number of parts)", "unshare: Operation not permitted")
"""What other programs and libraries say, in the language that they have."""


def test_no_english_sentence_is_left_in_chinese() -> None:
    parts = [p for path in SNAPSHOTS.glob("*.ambr") for p in path.read_text(encoding="utf-8").split("# name: ")[1:]]
    left = {}
    for part in parts:
        name, _, text = part.partition("\n")
        if not re.search(r"[\[-]zh[\]-]", name):
            continue
        # What a compiler or an interpreter said of a client stands in its own words.
        text = re.sub(r"(?m)^( *由客户程序证实（\w+）：).*$", r"\1", text)
        for foreign in FOREIGN:
            text = text.replace(foreign, "")
        if found := english_in(text):
            left[name] = found
    assert left == {} and len(parts) > 200
