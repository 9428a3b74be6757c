"""``xc supply-chain check`` on a product of more than 100 modules: no false alarm, and one byte is caught wherever it is.

The product and its modules come by the go command from where GOPROXY says, into the module cache.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from bench.result import Result
from pytest_xinchuang.core.finding import Certainty, Finding, load_findings
from pytest_xinchuang.packages.supply_chain.golang.chain import Options
from pytest_xinchuang.packages.supply_chain.golang.check import SupplyChain
from pytest_xinchuang.packages.supply_chain.golang.hashes import digests_of_zip, h1
from pytest_xinchuang.packages.supply_chain.golang.proxy import Proxies, escape
from pytest_xinchuang.packages.supply_chain.golang.vouching import vouching
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.go import GoCommand
from pytest_xinchuang.tools.gomod import ModuleVersion

PRODUCT = "github.com/caddyserver/caddy/v2@v2.11.9"
"""A server with 167 requirements, none of them replaced or a pre-release."""
PLANTED = ModuleVersion("go.uber.org/zap", "")
"""The module, of whatever version, in which bytes are changed."""
FILE = "logger.go"


def measure(rounds: int) -> Result:
    """Seconds of a check, and whether each planted byte is caught, by which code."""
    result = Result("chain")
    with tempfile.TemporaryDirectory() as place:
        good, downloads = _product(Path(place))
        seconds: list[float] = []
        for _n in range(rounds or 3):
            chain, took = _check(good, downloads)
            seconds.append(took)
        result.add(f"{PRODUCT}: {len(chain.published)} modules", seconds, "s")
        result.notes += [
            f"go.sum lines compared: {chain.checked_lines}",
            f"vendored files compared: {chain.checked_files}",
            f"modules vouched for: {chain.vouched}",
            f"false alarms: {', '.join(sorted(before := _grave(chain.findings))) or 'none'}",
        ]
        caught = 0
        for name, plant in PLANTS.items():
            bad, proxy = Path(place) / name / "product", Path(place) / name / "proxy"
            shutil.copytree(good, bad, symlinks=True)
            shutil.copytree(downloads, proxy, copy_function=_linked)
            plant(bad, proxy)
            chain, _took = _check(bad, proxy)
            told = sorted(_grave(chain.findings) - before)
            caught += bool(told)
            result.notes.append(f"one byte in {name}: {', '.join(told) or 'NOT CAUGHT'}")
        result.ratios["caught"] = caught / len(PLANTS)
        result.goals["caught"] = "1.000"
    return result


def _grave(findings: list[Finding]) -> set[str]:
    """What stands in the way or leaves the check open."""
    rules = load_findings()
    return {f"{f.code} {f.object}" for f in findings if rules.fails(f) or f.certainty is Certainty.UNDECIDED}


def _product(place: Path) -> tuple[Path, Path]:
    """The product with vendor/, and the directory of its published modules."""
    go = GoCommand()
    done = go.run(["mod", "download", "-json", PRODUCT], place)
    assert not done.code, done.output
    product = Path(shutil.copytree(json.loads(done.finished.text)["Dir"], place / "good"))
    for path in (product, *product.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    for words in (["mod", "download"], ["mod", "vendor"]):
        done = go.run(words, product)
        assert not done.code, done.output
    return product, Path(go.settings["GOMODCACHE"]) / "cache" / "download"


def _check(product: Path, proxy: Path) -> tuple[SupplyChain, float]:
    proxies = Proxies(Cache(), [str(proxy)])
    started = time.perf_counter()
    chain = SupplyChain(product, proxies, Options(vouching=vouching(proxies)))
    chain.run()
    return chain, time.perf_counter() - started


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _version(product: Path) -> ModuleVersion:
    lines = (product / "go.sum").read_text(encoding="utf-8").splitlines()
    go_mod = (product / "go.mod").read_text(encoding="utf-8").split()
    return next(
        ModuleVersion(*line.split()[:2])
        for line in lines
        if line.startswith(f"{PLANTED.path} ") and line.split()[1] in go_mod
    )


def _changed(data: bytes) -> bytes:
    """The same with one byte of its first comment changed."""
    at = data.index(b"// ") + 3
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _in_vendor(product: Path, _proxy: Path) -> None:
    path = product / "vendor" / PLANTED.path / FILE
    path.write_bytes(_changed(path.read_bytes()))


def _in_go_sum(product: Path, _proxy: Path) -> None:
    path, module = product / "go.sum", _version(product)
    text = path.read_text(encoding="utf-8")
    at = text.index(f"{module.path} {module.version} h1:") + len(f"{module.path} {module.version} h1:")
    path.write_text(text[:at] + ("B" if text[at] == "A" else "A") + text[at + 1 :], encoding="utf-8")


def _in_the_cache(product: Path, proxy: Path) -> None:
    """In the zip; go.sum and vendor/ follow, so that nothing here contradicts anything else here."""
    module = _version(product)
    path = proxy / escape(module.path) / "@v" / f"{escape(module.version)}.zip"
    with zipfile.ZipFile(path) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    name = f"{module}/{FILE}"
    files[name] = _changed(files[name])
    old = h1(digests_of_zip(path).items())
    path.unlink()  # it is a hard link to the module cache's own
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inner, data in files.items():
            archive.writestr(inner, data)
    sums = product / "go.sum"
    new = h1(digests_of_zip(path).items())
    sums.write_text(sums.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    (product / "vendor" / PLANTED.path / FILE).write_bytes(files[name])


PLANTS: dict[str, Callable[[Path, Path], None]] = {
    "vendor": _in_vendor,
    "go.sum": _in_go_sum,
    "the cache, go.sum and vendor": _in_the_cache,
}
