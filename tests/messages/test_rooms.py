"""The rooms' catalogues beside each other."""

from __future__ import annotations

from pathlib import Path

from babel.messages.pofile import read_po

import pytest_xinchuang


def test_a_template_has_one_translation_in_all_rooms() -> None:
    """Whichever catalogue is asked first answers: two translations of one template would depend on the order of rooms."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(Path(pytest_xinchuang.__file__).parent.rglob("zh.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh"):
                if message.id and message.string:
                    found.setdefault(str(message.id), {}).setdefault(str(message.string), str(path))
    assert not {template: texts for template, texts in found.items() if len(texts) > 1}
