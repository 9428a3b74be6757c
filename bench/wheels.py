"""Real wheels, fetched once into the cache: what tests and benchmarks of wheels look at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.provision.cache import Cache

LIST = Path(__file__).parent.parent / "tests/inspect/wheels.txt"
PYTHON = "3.11"


def fetch_wheels(cache: Cache) -> list[Path]:
    """The wheels of ``tests/inspect/wheels.txt``, by pip.

    Raises:
        HostFault: one of them cannot be had.
    """
    directory = cache.root / "wheels"
    directory.mkdir(parents=True, exist_ok=True)
    found = []
    for line in LIST.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        project, version, tag = line.split()
        place = directory / f"{project}-{version}-{tag}"
        with cache.lock(f"wheel-{project}-{tag}"):
            if not list(place.glob("*.whl")):
                argv = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
                argv += [
                    "--only-binary",
                    ":all:",
                    "--python-version",
                    PYTHON,
                    "--implementation",
                    "cp",
                    "--platform",
                    tag,
                ]
                done = subprocess.run(
                    [*argv, "-d", str(place), f"{project}=={version}"], capture_output=True, text=True, check=False
                )
                if done.returncode:
                    lines = done.stderr.strip().splitlines() or ["no message"]
                    raise HostFault(f"{project} {version} for {tag} cannot be fetched: {lines[-1]}")
        found += sorted(place.glob("*.whl"))
    return found
