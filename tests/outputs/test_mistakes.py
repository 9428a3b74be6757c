"""What is said of options, commands and names that are spelled wrongly or left out."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cli.test_usage import WRONG
from tests.outputs.conftest import Said


@pytest.mark.parametrize("line", [line for line, *_ in WRONG], ids=lambda line: line.replace(" ", "_"))
def test_a_mistake(line: str, said: Said, snapshot: SnapshotAssertion) -> None:
    assert said(*line.split()) == snapshot
