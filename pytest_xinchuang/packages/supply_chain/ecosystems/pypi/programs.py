"""The programs that installers write for entry points (PyPA, entry points specification), recognised line by line."""

from __future__ import annotations

import configparser
import re

_FRAME = frozenset(
    {
        "import re",
        "import sys",
        "if __name__ == '__main__':",
        r"sys.argv[0] = re.sub(r'(-script\.pyw|\.exe)?$', '', sys.argv[0])",
        r"sys.argv[0] = re.sub(r'(-script\.pyw?|\.exe)?$', '', sys.argv[0])",
        "sys.argv[0] = sys.argv[0].removesuffix('.exe')",
        "if sys.argv[0].endswith('-script.pyw'):",
        "sys.argv[0] = sys.argv[0][:-11]",
        "elif sys.argv[0].endswith('.exe'):",
        "sys.argv[0] = sys.argv[0][:-4]",
    }
)
"""What pip, distlib and uv write around the call."""

_START = re.compile(rb"#!(/[^\s'\"$`;&|]*/python[0-9.]*|/usr/bin/env python[0-9.]*)\r?\n")
_LONG = re.compile(rb"#!/bin/sh\n'''exec' \"?/[^\s'\"$`;&|]*/python[0-9.]*\"? \"\$0\" \"\$@\"\n' '''\n")
"""The first line, and what stands there where the path of the interpreter is too long for one."""


def console_scripts(text: str) -> dict[str, str]:
    """Name -> ``module:function`` of an entry_points.txt; nothing where it cannot be read."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    groups = [parser[g] for g in ("console_scripts", "gui_scripts") if parser.has_section(g)]
    return {name: value.partition("[")[0].strip() for group in groups for name, value in group.items()}


def body(data: bytes) -> bytes | None:
    """A program without the line that names its interpreter; None: it has none of Python."""
    start = _START.match(data) or _LONG.match(data)
    return data[start.end() :] if start else None


def is_wrapper(data: bytes, entry: str) -> bool:
    """Whether a program calls an entry point and does nothing else."""
    rest = body(data)
    module, _colon, function = (part.strip() for part in entry.partition(":"))
    if rest is None or not function:
        return False
    root = function.partition(".")[0]
    calls = {f"from {module} import {root}", f"sys.exit({function}())"}
    try:
        text = rest.decode()
    except UnicodeDecodeError:
        return False
    lines = {line.strip().replace('"', "'") for line in text.splitlines()}
    said = {line for line in lines if line and not line.startswith("#")}
    return calls <= said and not said - calls - _FRAME
