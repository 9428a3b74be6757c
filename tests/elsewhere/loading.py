"""Loads every module of the package in turn; prints those that cannot be, as JSON."""

from __future__ import annotations

import importlib
import json
import pkgutil

import pytest_xinchuang

failed = {}
for module in pkgutil.walk_packages(pytest_xinchuang.__path__, "pytest_xinchuang."):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except BaseException as error:
        failed[module.name] = repr(error)
print(json.dumps(failed))
