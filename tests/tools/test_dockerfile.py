"""Dockerfiles are read as the builder reads them."""

from __future__ import annotations

import pytest

from pytest_xinchuang.tools.dockerfile import Base, bases, instructions

DIGEST = "@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("FROM debian:12\nRUN x", [Base("debian:12", "", 1)]),
        ("from debian" + DIGEST, [Base("debian" + DIGEST, "", 1)]),
        ("ARG TAG=12\nARG BASE=debian:${TAG}\nFROM $BASE", [Base("debian:12", "", 3)]),
        ("ARG BASE\nFROM ${BASE:-debian:12}", [Base("debian:12", "", 2)]),
        ("ARG BASE\nFROM $BASE", [Base("$BASE", "", 2)]),
        ("FROM a AS One\nFROM one\nFROM scratch\nFROM b", [Base("a", "", 1), Base("b", "", 4)]),
        ("FROM a\nARG X=b\nFROM $X", [Base("a", "", 1), Base("$X", "", 3)]),
        ("FROM --platform=linux/arm64 \\\n  # a comment\n\n  debian:12 AS x", [Base("debian:12", "linux/arm64", 1)]),
        ("# escape=`\nFROM `\n  debian:12\r\nRUN dir c:\\\nFROM b", [Base("debian:12", "", 2), Base("b", "", 5)]),
        ("# a comment\n# escape=`\nFROM \\\n  debian:12", [Base("debian:12", "", 3)]),
        ("FROM a\nRUN <<EOF\nFROM b\nEOF\nFROM c", [Base("a", "", 1), Base("c", "", 5)]),
        ("FROM a\nCOPY <<-'A' <<B /\nFROM b\n\tA\nFROM d\nB\nFROM c", [Base("a", "", 1), Base("c", "", 7)]),
        ("FROM a\nRUN x \\", [Base("a", "", 1)]),
        ("FROM", []),
        ("", []),
        ("FROM --platform=x", []),
    ],
)
def test_bases(text: str, wanted: list[Base]) -> None:
    assert list(bases(text)) == wanted


def test_the_last_instruction_may_be_cut_off() -> None:
    assert [(i.name, i.words) for i in instructions("run a \\\n b \\")] == [("RUN", "a   b")]
