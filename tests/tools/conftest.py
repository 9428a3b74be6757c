"""The listener, for tests of what dials out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tools.dialing import Listener, listening


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    with listening(monkeypatch) as found:
        yield found
