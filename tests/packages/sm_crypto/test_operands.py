"""A carry that is lost on some CPUs: emmansun/gmsm 0.41.0 (its issue #560) is refused where the CPU has ADX, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.generate import oracles
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.judge import VectorResult
from pytest_xinchuang.packages.sm_crypto.runner import VectorRun, run_vectors
from pytest_xinchuang.packages.sm_crypto.vectors import Vector
from pytest_xinchuang.sandbox.circumstances import CpuVariant
from pytest_xinchuang.sandbox.local import local
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Limits
from tests.packages.sm_crypto.test_subjects import made, vectors

pytestmark = [pytest.mark.slow, pytest.mark.registry]
FAULTY = "github.com/emmansun/gmsm@v0.41.0"


def operands() -> list[Vector]:
    return [v for v in vectors() if v.file.startswith("sm2_operands")]


def others() -> list[Vector]:
    chosen = vectors("sm2_verify", "sm2_exchange", "sm2_keys", "sm2_sign")
    # What the library takes in a public key beside the point has nothing to do with its arithmetic.
    return [v for v in chosen if "SpkiEncoding" not in v.test.flags]


def built(work: Path, module: str, arch: str = "amd64") -> list[str]:
    return made(lambda place: oracles.go(place, "gmsm", module, GOARCH=arch), work)


def wrong(result: VectorRun) -> set[str]:
    assert not [s for s in result.seen if s.result is VectorResult.UNDECIDED]
    return {s.vector.test.flags[0] for s in result.seen if s.result is VectorResult.FAILED}


def here(argv: list[str], chosen: list[Vector]) -> set[str]:
    with SmClient(local(argv), timeout_s=60, start_timeout_s=60) as client:
        return wrong(run_vectors(client, chosen))


def test_the_faulty_version_passes_without_the_operands_and_fails_with_them(tmp_path: Path) -> None:
    cpu = Path("/proc/cpuinfo")
    if not cpu.is_file() or " adx" not in cpu.read_text():
        pytest.skip("needs a CPU with ADX; under an emulated one the next test does it")
    argv = built(tmp_path, FAULTY)
    assert here(argv, others()) == set()
    assert "MontgomeryLimbs64" in here(argv, operands())


def test_the_version_with_the_mend_passes(tmp_path: Path) -> None:
    assert here(built(tmp_path, ""), operands()) == set()


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("name", "arch", "variant", "faulty"),
    [
        ("hygon", "amd64", CpuVariant.STRICT, True),
        ("hygon", "amd64", CpuVariant.POOREST, False),
        ("zhaoxin", "amd64", CpuVariant.STRICT, True),
        ("zhaoxin", "amd64", CpuVariant.POOREST, False),
        ("kunpeng", "arm64", CpuVariant.STRICT, False),
        ("loongson", "loong64", CpuVariant.STRICT, False),
    ],
)
def test_the_faulty_version_by_cpu(
    name: str, arch: str, variant: CpuVariant, faulty: bool, tmp_path: Path, platforms: Platforms, pool: Pool
) -> None:
    """The poorest CPU of a platform has no BMI2, without which the library takes its other multiplication."""
    program = Path(built(tmp_path, FAULTY, arch)[0]).read_bytes()
    sandbox = pool.sandbox(platforms.select([name])[0], variant)
    sandbox.put("/xc/gmsm", program, executable=True)
    limits = Limits(wall_s=600, memory_mb=2048, output_mb=256)
    with SmClient(lambda: sandbox.start(["/xc/gmsm"], limits=limits), timeout_s=60, start_timeout_s=60) as client:
        found = wrong(run_vectors(client, operands()))
    assert ("MontgomeryLimbs64" in found) is faulty, found
    assert faulty or not found
