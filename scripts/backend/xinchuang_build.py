"""Hatchling's build backend (PEP 517, 660), which a Python that is too old never comes to: it is told so in one line, at once.

Without it pip would first look for versions of everything that the suite needs, for ten minutes and more, or end at the first
that it does not find.
"""

import runpy

runpy.run_path("pytest_xinchuang/_python.py", run_name="__main__")

from hatchling.build import *  # noqa: E402, F403
