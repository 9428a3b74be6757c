"""Packages of Debian's that hosts are made of, of any suite: by mmdebstrap, for nothing that is graded comes from them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.tools.process import Runner, environment

TIMEOUT_S, ANSWER_TIMEOUT_S = 1800, 60


def mirror(runner: Runner) -> str:
    """``$XC_MIRROR``, else the first archive of Debian's that the machine's apt uses.

    Raises:
        HostFault: there is none.
    """
    if given := os.environ.get("XC_MIRROR"):
        return given
    done = runner.run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], timeout_s=ANSWER_TIMEOUT_S)
    found = next((line for line in done.text.splitlines() if "debian" in line and "security" not in line), None)
    if not done.ok or found is None:
        raise HostFault(verbatim(f"apt knows no archive of Debian's: {done.told()}"), mend=verbatim("apt-get update"))
    return found


@contextmanager
def unpacked(suite: str, arch: str, packages: Sequence[str], runner: Runner) -> Iterator[Path]:
    """Packages with all that they need, unpacked into a directory that is gone afterwards; no script of theirs is run.

    Raises:
        HostFault: they cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="xc-packages-") as scratch:
        place = Path(scratch, "tree")
        words = [
            "mmdebstrap",
            "--mode=chrootless",
            "--variant=extract",
            "--skip=check/qemu",
            "--format=directory",
            "--quiet",
        ]
        words += [f"--architectures={arch}", f"--include={','.join(packages)}"]
        # A suite that is no longer renewed is past its date, and so is a mirror's copy now and then.
        words += ['--aptopt=Acquire::Check-Valid-Until "false"', suite, str(place), mirror(runner)]
        done = runner.run(words, timeout_s=TIMEOUT_S, env=environment({"DEBIAN_FRONTEND": "noninteractive"}))
        if not done.ok:
            told = [line for line in done.errors.splitlines() if line.startswith("E:")] or [done.told()]
            raise HostFault(
                verbatim(f"packages of {suite} {arch}: {told[0]}"), mend=verbatim("apt-get install mmdebstrap")
            )
        shutil.rmtree(place / "dev", ignore_errors=True)  # device nodes
        yield place
