"""Runs the cases of Java: what javac and the virtual machine find, and what the comparison says of all of them at once."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from bench.cases import Case
from pytest_xinchuang.packages.sdk_ast.compare import Judged, compare
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache

JAVAC = shutil.which("javac")
TRUTH = Path(__file__).with_name("Truth.java")


def truths(cases: Sequence[Case], directory: Path) -> dict[str, str]:
    """What the tools say of each case: ``truth source binary``, or ``unsound`` and why."""
    for case in cases:
        case.write(directory / case.name)
    done = subprocess.run(
        [str(Path(str(JAVAC)).with_name("java")), str(TRUTH), *(str(directory / case.name) for case in cases)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip((case.name for case in cases), done.stdout.splitlines(), strict=True))


def said(cases: Sequence[Case], directory: Path, *, clients: bool = True) -> dict[str, list[Judged]]:
    """The changes of each case, whose library is a package of one library for all."""
    for side in ("old", "new"):
        sources = []
        for number, case in enumerate(cases):
            for path, text in case.files.items():
                if path.startswith(f"{side}/lib/"):
                    place = directory / side / f"lib{number}" / Path(path).name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_text(re.sub(r"\blib\b", f"lib{number}", text))
                    sources.append(str(place))
        words = [str(JAVAC), "-nowarn", "-proc:none", "-d", str(directory / f"{side}.classes"), *sources]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    with Sources(Cache(), ReadOptions(language="java")) as sources_:
        old, new = (sources_.read(str(directory / f"{side}.classes")) for side in ("old", "new"))
        comparison = compare(old, new, Rules())
        if clients:
            comparison = judged(comparison, sources_, Rules(), ApiPolicy())
            assert not comparison.unjudged, comparison.unjudged
    found: dict[str, list[Judged]] = defaultdict(list)
    for one in comparison.changes:
        match = re.match(r"lib(\d+)\b", one.change.symbol)
        assert match is not None, one.change.symbol
        found[cases[int(match[1])].name].append(one)
    return found
