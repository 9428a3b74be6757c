"""What the plugin costs who does not use it, and how soon the first test runs for who does."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.result import Result
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.provision.store import Store

ROUNDS = 25
TESTS = 1000
OURS = ["-p", "pytest_xinchuang.plugin"]
# Other plugins of this environment (hypothesis takes a second) are not what is measured.
ENVIRONMENT = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def measure(rounds: int) -> Result:
    """Processor time of collecting 1,000 empty tests with and without the plugin, interleaved; then an active run."""
    rounds = rounds or ROUNDS
    result = Result("idle")
    Store(Platforms([resources.platforms_file()])).rootfs("bullseye-arm64")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "test_many.py").write_text("".join(f"def test_{n}(): pass\n" for n in range(TESTS)))
        base = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]
        ways = {"without the plugin": base, "with the inactive plugin": [*base, *OURS]}
        samples: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds + 1):
            # The order alternates: whoever runs second finds warmer caches.
            for way, argv in list(ways.items())[:: 1 if number % 2 else -1]:
                spent = _cpu(argv, directory)
                if number:
                    samples[way].append(spent)
        for way, taken in samples.items():
            result.add(way, taken)
        # Each pair ran side by side: the difference of a pair is less noisy than that of two medians.
        pairs = [w - o for o, w in zip(*samples.values(), strict=True)]
        result.ratios["idle_added_ms"] = round(result.add("added, median of the pairs", pairs), 2)
        result.goals["idle_added_ms"] = "<= 10"
        (directory / "test_many.py").unlink()
        stamp = directory / "stamp"
        text = f"import time\ndef test_first(xc_sandbox): open({str(stamp)!r}, 'w').write(str(time.time()))\n"
        (directory / "test_one.py").write_text(text)
        argv = [sys.executable, "-m", "pytest", "-q", *OURS, "--xc-platform=phytium", "--xc-suite=none"]
        starts = []
        for number in range(rounds + 1):
            started = time.time()
            _run(argv, directory)
            if number:
                starts.append(float(stamp.read_text()) - started)
    first = result.add("active, from the start to the first test", starts, "s")
    result.ratios["active_first_test_s"] = round(first, 3)
    result.goals["active_first_test_s"] = "<= 1"
    return result


def _cpu(argv: list[str], directory: Path) -> float:
    """Milliseconds of processor time: one thread that never waits, and far less noisy than the clock on the wall."""
    process = subprocess.Popen(argv, cwd=directory, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)
    return (usage.ru_utime + usage.ru_stime) * 1000


def _run(argv: list[str], directory: Path) -> float:
    started = time.perf_counter()
    subprocess.run(argv, cwd=directory, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000
