"""``--help`` of ``xc``, of each group and of each command."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cli.test_options import COMMANDS, GROUPS
from tests.outputs.conftest import Said


@pytest.mark.parametrize("command", [*GROUPS, *COMMANDS])
def test_help(command: str, said: Said, snapshot: SnapshotAssertion) -> None:
    assert said(*command.split(), "--help") == snapshot


@pytest.mark.parametrize("group", ["", "sm"])
def test_a_group_without_a_command(group: str, said: Said, snapshot: SnapshotAssertion) -> None:
    assert said(*group.split()) == snapshot
