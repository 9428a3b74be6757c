"""Rules about objects that a file has among its data: in a program's constants, in a resource, as base64 in a script."""

from __future__ import annotations

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.roles import MACHINES_OF_DEVICES
from pytest_xinchuang.inspect.rules.judge import Judge


def check_embedded(judge: Judge, node: Node, records: list[ElfRecord]) -> list[ElfRecord]:
    """Those of the objects that are judged as any other: the ones for the platform's machine.

    That its program writes one for another machine to a file and starts it cannot be seen, nor that it does not: undecided,
    unless one for the platform stands beside it. What is for a device or the kernel, or is linked first, is none.
    """
    wanted = judge.platform.architecture.elf_machine
    records = [r for r in records if r.elf.machine not in MACHINES_OF_DEVICES and r.elf.kind != "rel"]
    mine = [record for record in records if record.elf.machine == wanted]
    if not mine:
        for record in records:
            judge.find(
                "XC-BAD-010",
                Certainty.UNDECIDED,
                record.place,
                file=node.name.rpartition("/")[2],
                machine=record.elf.machine,
                wanted=wanted,
            )
    return mine


def is_embedded(node: Node) -> bool:
    """Whether what a container holds stands among the bytes of a file: by itself, or in an archive there."""
    here: Node | None = node
    while here is not None:
        if here.kind == "embedded":
            return here is node or here.facts.get("all") == "data"
        here = here.parent
    return False
