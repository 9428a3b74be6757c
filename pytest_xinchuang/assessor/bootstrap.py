"""The first file of a sealed assessor: it decides what can be imported, and what pytest sees.

``xc grade`` runs it by its path, as ``python -I -P -S -X pycache_prefix=DIR/pycache bootstrap.py DIR [OPTIONS OF PYTEST]``:
without the directory that it stands in, without ``.pth`` files, ``sitecustomize`` and ``usercustomize``, without Python's
environment variables, and without byte code that somebody else has compiled. Up to ``main`` it uses the standard library alone.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

FLAGS = ("-I", "-P", "-S")
"""What Python is started with: isolated, no directory of a script on the path, no ``site``."""

PACKAGE = Path(__file__).resolve().parent.parent
INI = Path(__file__).resolve().with_name("sealed.ini")

REACHED, BELOW, ERROR, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes, as those of every ``xc`` command."""

WORKER = "--worker"
"""Stands before what execnet tells a worker's Python: ``-u -c PROGRAM``."""

_USE_OR_OURS = frozenset({3, 4, 5, 12})
"""pytest's internal error, its error of use and its empty selection, and our own ``no report``."""


def site_directories(executable: str = sys.executable) -> list[str]:
    """Where the distributions of a Python are installed, in the order of ``site``, which is not asked."""
    home = Path(executable).parent.parent
    settings = _settings(home / "pyvenv.cfg")
    if not settings:
        return _places(sys.base_prefix)
    found = _places(str(home))
    if settings.get("include-system-site-packages", "").lower() == "true":
        found += _places(sys.base_prefix)
    return found


def _settings(file: Path) -> dict[str, str]:
    """``pyvenv.cfg`` of a virtual environment; nothing where there is none."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines)
    return {name.strip().lower(): value.strip() for name, _equals, value in pairs}


def _places(prefix: str) -> list[str]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    names = [sysconfig.get_path(name, vars={"base": prefix, "platbase": prefix}) for name in ("purelib", "platlib")]
    names += [f"{prefix}/lib/{version}/site-packages", f"{prefix}/lib64/{version}/site-packages"]
    # Debian puts what its own packages bring elsewhere.
    names += [f"{prefix}/local/lib/{version}/dist-packages", f"{prefix}/lib/python3/dist-packages"]
    return [name for name in dict.fromkeys(names) if Path(name).is_dir()]


def import_path(standard: Iterable[str], sites: Sequence[str], package: Path = PACKAGE) -> list[str]:
    """The standard library, the installed distributions, and this suite, wherever it stands."""
    own = str(package.parent)
    if own in sites:
        return [*standard, *sites]
    # A checkout stands last, so that nothing beside it hides a distribution; but it has to be found before an installed suite.
    if any(Path(site, package.name, "__init__.py").exists() for site in sites):
        return [*standard, own, *sites]
    return [*standard, *sites, own]


def pytest_arguments(root: Path) -> list[str]:
    """What pytest is always told: our own ini file, no conftest, no plugin but ours and xdist."""
    return [
        *("-c", str(INI), "--rootdir", str(root), "--noconftest", "--import-mode=importlib"),
        *("-p", "pytest_xinchuang.plugin", "-p", "xdist.plugin", "-p", "no:cacheprovider", "--tb=short"),
    ]


def workers(number: int, cache: Path) -> list[str]:
    """Workers of xdist that are started as this process was."""
    python = shlex.join(
        [sys.executable, *FLAGS, "-X", f"pycache_prefix={cache}", str(Path(__file__).resolve()), WORKER]
    )
    return ["--dist=load", f"--tx={number}*popen//python={python}"] if number > 1 else []


def exit_code(status: int, report: Path) -> int:
    """The exit code of ``xc grade`` from pytest's exit status and the report that was written."""
    if status == 2:
        return INTERRUPTED
    if status in _USE_OR_OURS:
        return ERROR
    try:
        data = json.loads(report.read_text(encoding="utf-8"))
        grades, requirements = data["grades"], data["requirements"]
    except (OSError, ValueError, KeyError, TypeError):
        return ERROR
    if not grades or any(grade["level"] is None for grade in grades):
        return INCOMPLETE
    code = REACHED
    for grade in grades:
        results = {r["id"]: r for r in requirements if r["platform"] == grade["platform"]}
        wanted = grade["required_level"]
        if wanted is None:
            failed = any(r["verdict"] == "fail" for r in results.values())
        elif grade["level"] >= wanted:
            continue
        else:
            below = [r for r in results.values() if r["mandatory"] and r["level"] <= wanted]
            failed = any(r["verdict"] == "fail" for r in below)
            code = code or INCOMPLETE
        if failed:
            return BELOW
    return code


def _option(arguments: Iterable[str], name: str) -> str:
    """The value of an option that is given as ``NAME=VALUE``; the last one counts."""
    return next((a.partition("=")[2] for a in reversed(list(arguments)) if a.startswith(f"{name}=")), "")


def _set_path() -> None:
    """What ``site`` would have done, but for everything that somebody else has a hand in."""
    sys.path[:] = import_path(sys.path, site_directories())
    home = Path(sys.executable).parent.parent
    if (home / "pyvenv.cfg").is_file():
        sys.prefix = sys.exec_prefix = str(home)


def serve(program: str) -> None:
    """Be a worker: ``program`` is what execnet reads its own first words with."""
    _set_path()
    exec(program, {"__name__": "__main__"})


def main(argv: Sequence[str]) -> int:
    """Assess, and return the exit code; the directory of the run is removed."""
    place, arguments = Path(argv[0]), list(argv[1:])
    number = int(_option(arguments, "--workers") or 1)
    arguments = [a for a in arguments if not a.startswith("--workers=")]
    _set_path()
    try:
        import pytest

        import pytest_xinchuang
        from pytest_xinchuang.core import resources
    except ImportError as error:
        sys.stderr.write(f"xc: {error.name}: not installed beside {sys.executable}\n")
        return ERROR
    if Path(pytest_xinchuang.__file__).resolve().parent != PACKAGE:
        sys.stderr.write(f"xc: {pytest_xinchuang.__file__} is imported in the place of {PACKAGE}\n")
        return ERROR
    try:
        given = [*pytest_arguments(resources.conformance_dir().parent), *workers(number, place / "pycache")]
        status = int(pytest.main([*given, *arguments]))
        sys.stdout.flush()
        return exit_code(status, Path(_option(arguments, "--xc-report"), "report.json"))
    finally:
        os.chdir("/")
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        serve(sys.argv[-1])
    else:
        sys.exit(main(sys.argv[1:]))
