"""How ``setup.py`` is run in a guise: Python itself answers as the machine, and hands the extensions to the stand-ins."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pytest_xinchuang.advise.builds.site import Site, Step, together

SCRIPT = re.compile(r"\bExtension\s*\(|\bext_modules\b|\bcffi_modules\b")
"""What a setup.py has whose product is not Python alone."""

_LACKING = re.compile(r"^ModuleNotFoundError: No module named '(?P<name>[\w.]+)'", re.MULTILINE)

_ANSWERS = """\
import sysconfig
sysconfig.get_config_vars().update(
    CC="cc", CXX="c++", AR="ar", ARFLAGS="rcs", OPT="", CFLAGS="-O2", BASECFLAGS="", CCSHARED="-fPIC", LDSHARED="cc -shared",
    BLDSHARED="cc -shared", LDCXXSHARED="c++ -shared", LDFLAGS="", HOST_GNU_TYPE={gnu!r}, MULTIARCH={gnu!r},
)
"""
"""What this Python was compiled with is none of the tree's, and may be of its machine alone (Python library, sysconfig)."""


def run_setup(site: Site, file: str) -> Step:
    """Build the extensions of a setup.py."""
    state = site.place / "state" / "python"
    state.mkdir(exist_ok=True)
    guise = site.guise
    answers = guise.python + _ANSWERS.format(gnu=guise.triple.gnu)
    (state / "sitecustomize.py").write_text(answers, encoding="utf-8")
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = python if python.is_file() else Path(sys.executable).resolve()
    env = {
        "PYTHONPATH": str(state),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "_PYTHON_HOST_PLATFORM": f"linux-{guise.uname}",
        "CC": "cc",
        "CXX": "c++",
    }
    name = file.rpartition("/")[2]
    words = [str(program), name, "build", "--build-base", "xc-build"]
    return site.step(together(words), within=file.rpartition("/")[0], env=env)


def lacking(step: Step) -> str:
    """The module that setup.py needs and this Python has not; "" where it lacks none."""
    found = _LACKING.search(step.stdout)
    return found["name"] if found else ""
