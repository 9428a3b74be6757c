"""How fast vectors go through a harness: the wire with nothing behind it, Go natively and emulated, and OpenSSL's whole set.

The peer is the lockstep way: one request, its reply, the next one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.result import Result
from fixtures.generate.oracles import Missing, go
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.packages.registry import load_subject, shipped
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.engine import SmEngine, vectors_dir
from pytest_xinchuang.packages.sm_crypto.runner import run_vectors
from pytest_xinchuang.packages.sm_crypto.vectors import load_directory
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.local import local
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Limits, Process
from pytest_xinchuang.toolchain.builder import Builder

ROUNDS, REQUESTS = 5, 10000
PLATFORMS = {"arm64": "kunpeng", "loong64": "loongson"}
SUBJECT = Path(__file__).parent.parent / "fixtures" / "subjects" / "openssl"


def _pipelined(client: SmClient, count: int) -> float:
    """Vectors a second, many in flight: SM3 of a short message, so that the wire is the limit."""
    requests = [(n, {"op": "sm3", "msg": f"{n:064x}"}) for n in range(count)]
    start = time.perf_counter()
    good = sum(answer.kind is ReplyKind.REPLY and "digest" in answer.reply for _, answer in client.run(requests))
    assert good == count
    return count / (time.perf_counter() - start)


def _lockstep(client: SmClient, count: int) -> float:
    start = time.perf_counter()
    for n in range(count):
        assert "digest" in client.ask({"op": "sm3", "msg": f"{n:064x}"}).reply
    return count / (time.perf_counter() - start)


@contextmanager
def _pool() -> Iterator[tuple[Pool, Platforms, Store]]:
    platforms = Platforms([resources.platforms_file()])
    store = Store(platforms, Cache())
    pool = Pool(store, "qemu")
    try:
        yield pool, platforms, store
    finally:
        pool.close()


def _inside(pool: Pool, platforms: Platforms, name: str, program: bytes) -> Callable[[], Process]:
    sandbox = pool.sandbox(platforms.select([name])[0])
    sandbox.put("/xc/harness", program, executable=True)
    return lambda: sandbox.start(["/xc/harness"], limits=Limits(wall_s=3600, output_mb=1024))


def measure(rounds: int = 0) -> Result:
    """Interleaved: every way once a round."""
    result = Result("sm")
    result.goals = {
        "native Go, vectors/s": ">= 10,000",
        "arm64 Go, vectors/s": ">= 1,000",
        "loong64 Go, vectors/s": ">= 1,000",
        "kunpeng OpenSSL, whole set, s": "< 60",
    }
    with tempfile.TemporaryDirectory() as text, _pool() as (pool, platforms, store):
        work = Path(text)
        try:
            clients = {"native": SmClient(local(go(work, "gmsm")))}
            for arch, name in PLATFORMS.items():
                program = Path(go(work, "gmsm", GOARCH=arch)[0]).read_bytes()
                clients[arch] = SmClient(_inside(pool, platforms, name, program), timeout_s=60)
        except Missing as why:
            result.notes.append(f"not measured: {why}")
            return result
        ways: dict[str, list[float]] = {}
        for client in clients.values():
            _pipelined(client, 500)
        for _ in range(rounds or ROUNDS):
            for name, client in clients.items():
                ways.setdefault(f"{name} Go, pipelined", []).append(_pipelined(client, REQUESTS))
                ways.setdefault(f"{name} Go, lockstep", []).append(_lockstep(client, REQUESTS // 5))
        for name, client in clients.items():
            many = result.add(f"{name} Go, pipelined", ways[f"{name} Go, pipelined"], "vectors/s")
            one = result.add(f"{name} Go, lockstep", ways[f"{name} Go, lockstep"], "vectors/s")
            result.ratios[f"{name} Go, vectors/s"] = many
            result.ratios[f"{name} pipelined / lockstep"] = many / one
            client.close()
        catalogue = shipped().catalogue()
        every = [v for one in load_directory(vectors_dir()) for v in one.vectors() if not v.group.get("slow")]
        for name in ("kunpeng", "loongson"):
            engine = SmEngine(platforms.select([name])[0], load_subject(SUBJECT), catalogue, pool, Builder(store.cache))
            client = engine.client()
            _ = client.hello
            times = []
            for _ in range(min(3, rounds or 3)):
                start = time.perf_counter()
                run_vectors(client, every)
                times.append(time.perf_counter() - start)
            engine.close()
            result.ratios[f"{name} OpenSSL, whole set, s"] = result.add(
                f"{name} OpenSSL, {len(every)} vectors", times, "s"
            )
    return result
