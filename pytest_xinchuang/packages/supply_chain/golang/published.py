"""What was published and is built from: whether its zips keep the rules, its go.mod is its own, and anybody vouches for it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.packages.supply_chain.golang.chain import Chain, Verified
from pytest_xinchuang.packages.supply_chain.golang.gofiles import SumLine
from pytest_xinchuang.packages.supply_chain.golang.hashes import digests_of_zip, h1, h1_of_go_mod
from pytest_xinchuang.packages.supply_chain.golang.modzip import zip_faults
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone, nameable
from pytest_xinchuang.packages.supply_chain.golang.sources import Gathered
from pytest_xinchuang.packages.supply_chain.golang.vouching import Said, Vouching
from pytest_xinchuang.tools.gomod import ModuleVersion

_MODULE = re.compile(r"""^\s*module\s+(?:"([^"\n]*)"|`([^`\n]*)`|([^\s/"`][^\s]*))""", re.M)
_MOST_FAULTS = 10
"""Of one zip; the rest says no more."""


def read_zip(chain: Chain, module: ModuleVersion, *, vendored: bool) -> Verified | Gone:
    """The hashes of a published module; what its zip breaks and has is added to the findings.

    Args:
        vendored: its sources are delivered, and are looked at there.
    """
    path = chain.proxies.fetch(module, "zip")
    if isinstance(path, Gone):
        return path
    gathered = Gathered()
    try:
        for number, (entry, why) in enumerate(zip_faults(module, path)):
            if number == _MOST_FAULTS:
                break
            detail = _("{entry}: {why}", entry=verbatim(ascii(entry)), why=why) if entry else why
            chain.add("XC-SUP-070", f"{module}.zip", detail=detail)
            if not entry:
                return Gone(why, False)  # what is too large is not unpacked
        digests = digests_of_zip(path, None if vendored else gathered.look)
    except (OSError, zipfile.BadZipFile) as error:
        return Gone(told(error), False)
    except XcError as error:
        return Gone(error.what, False)
    for code, place, params in gathered.notes():
        chain.add(code, place, Certainty.NOTE, **params)
    prefix = f"{module}/"
    files = {name.removeprefix(prefix): digest for name, digest in digests.items()}
    _check_go_mod(chain, module, path)
    return Verified(module, h1(digests.items()), files)


def _check_go_mod(chain: Chain, module: ModuleVersion, path: Path) -> None:
    """The proxy serves go.mod twice, alone and in the zip: both have to be one, and of the module that is asked for."""
    alone = chain.proxies.fetch(module, "mod")
    if isinstance(alone, Gone):
        return
    data = alone.read_bytes()
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.read(f"{module}/go.mod")
    except KeyError:
        inside = (
            data  # without one the proxy writes it (Go modules reference, Compatibility with non-module repositories)
        )
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError):
        return
    if inside != data:
        chain.add("XC-SUP-074", str(module), detail=_("the go.mod in the zip is another than the one beside it"))
    found = _MODULE.search(data.decode("utf-8", "replace"))
    name = next(filter(None, found.groups()), "") if found else ""
    # A replacement may go on under the name of what it replaces.
    names = {module.path, *(old.path for old, new in chain.go_mod.replaces.items() if new == module)}
    if name not in names:
        chain.add("XC-SUP-074", str(module), detail=_("its go.mod is of the module {name}", name=verbatim(name or "-")))


def check_vouched(chain: Chain, sums: Sequence[SumLine]) -> int:
    """Compares what is here with what is vouched for; returns how many modules that are built from are.

    Of a module that is not built from nothing has to be known; what is known must not contradict go.sum.
    """
    needed = chain.published
    vouching = chain.options.vouching or Vouching(None)
    modules = sorted({*needed, *(line.module for line in sums)}, key=lambda m: (m.path, m.version))
    modules = [m for m in modules if m.semantic and nameable(m)]
    if not modules:
        return 0
    lines: dict[tuple[ModuleVersion, bool], SumLine] = {(line.module, line.of_go_mod): line for line in reversed(sums)}
    open_: dict[str, list[tuple[ModuleVersion, Message]]] = {"XC-SUP-072": [], "XC-SUP-073": []}
    good = 0
    with ThreadPoolExecutor(8) as pool:
        for module, said in zip(modules, pool.map(vouching.of, modules), strict=True):
            right = _agrees(chain, module, said, lines)
            if module not in needed:
                continue
            if right and _covered(chain, module, said):
                good += 1
            elif right and not isinstance(chain.verified.get(module), Gone) and _here(chain, module, of_go_mod=True):
                why = said.why or _("{by} does not have all of it", by=said.by)
                open_["XC-SUP-073" if said.unproven else "XC-SUP-072"].append((module, why))
    for code, listed in open_.items():
        if listed:
            module, why = listed[0]
            chain.add(code, "go.sum", Certainty.UNDECIDED, n=str(len(listed)), module=str(module), detail=why)
    return good


def _covered(chain: Chain, module: ModuleVersion, said: Said) -> bool:
    return True in said.hashes and (False in said.hashes or not isinstance(chain.verified.get(module), Verified))


def _agrees(
    chain: Chain, module: ModuleVersion, said: Said, lines: Mapping[tuple[ModuleVersion, bool], SumLine]
) -> bool:
    """Whether what is vouched for is what is here and in go.sum; a line that differs from what is here was told before."""
    right = True
    for of_go_mod, wanted in said.hashes.items():
        what = f"{module}/go.mod" if of_go_mod else str(module)
        line = lines.get((module, of_go_mod))
        here = _here(chain, module, of_go_mod=of_go_mod) if line is not None or module in chain.published else ""
        if line is not None and line.hash != wanted and here != wanted:
            right = False
            where = f"go.sum:{line.number}"
            chain.add("XC-SUP-071", where, module=what, found=line.hash, wanted=wanted, by=said.by)
        elif here and here != wanted:
            right = False
            chain.add("XC-SUP-071", what, module=what, found=here, wanted=wanted, by=said.by)
    return right


def _here(chain: Chain, module: ModuleVersion, *, of_go_mod: bool) -> str:
    """The hash of the files that were looked at; "": there are none."""
    if not of_go_mod:
        found = chain.verified.get(module)
        return found.h1 if isinstance(found, Verified) else ""
    path = chain.proxies.fetch(module, "mod")
    return "" if isinstance(path, Gone) else h1_of_go_mod(path.read_bytes())
