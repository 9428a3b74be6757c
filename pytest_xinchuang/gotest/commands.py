"""`xc go-test`: third-party Go modules' own tests on a platform."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pytest_xinchuang.commands.common import EXIT_CLEAN, EXIT_ERROR, EXIT_FINDINGS, EXIT_INCOMPLETE, Command, Load
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, verbatim


def add_command(command: Command, load: Load) -> None:
    """Add ``xc go-test``."""
    gotest = command(
        "go-test", lambda o: _go_test(o, load), "run Go modules' own tests on a platform, package by package"
    )
    gotest.add_argument("modules", nargs="*", metavar="MODULE@VERSION")
    gotest.add_argument("--suite", choices=["ecosystem"], help="the modules of a shipped list")
    gotest.add_argument("--platform", default="kunpeng,loongson", metavar="ID[,ID...]")
    gotest.add_argument("--cover", action="store_true", help="measure coverage")
    gotest.add_argument("--race", choices=["yes", "no"], default="no", help="build with the race detector")
    gotest.add_argument("--run", dest="only", default="", metavar="REGEXP", help="only the tests whose names match")
    gotest.add_argument("--offline", action="store_true", help="fetch nothing: take modules from the cache")
    gotest.add_argument("--json", metavar="FILE", help="write the results there")
    gotest.add_argument("--markdown", metavar="FILE", help="write tables of the results there")


def _go_test(options: argparse.Namespace, load: Load) -> int:
    from pytest_xinchuang.core.yamlfile import YamlFile
    from pytest_xinchuang.gotest.engine import GoTestEngine
    from pytest_xinchuang.gotest.report import as_markdown, as_text
    from pytest_xinchuang.gotest.result import ModuleResult, TestVerdict
    from pytest_xinchuang.gotest.suite import SuiteFile
    from pytest_xinchuang.provision.progress import Progress
    from pytest_xinchuang.provision.store import Store
    from pytest_xinchuang.sandbox.pool import Pool
    from pytest_xinchuang.tools.gomod import ModuleVersion

    names = list(options.modules)
    if options.suite:
        suite = YamlFile(resources.conformance_dir() / f"{options.suite}.yaml").parse(SuiteFile)
        names += [f"{m.module}@{m.version}" for m in suite.modules]
    if not names:
        raise XcError(
            _("no module is named"),
            mend=verbatim("xc go-test github.com/gin-gonic/gin@v1.10.1 --platform kunpeng, or --suite ecosystem"),
        )
    wanted = [ModuleVersion.parse(name) for name in names]
    platforms = load(options)
    # Tests load time zones by name.
    store = Store(platforms, progress=Progress(), offline=options.offline, packages=("tzdata",))
    store.cache.clean()
    pool = Pool(store)
    results: list[ModuleResult] = []
    try:
        for platform in platforms.select(options.platform.split(",")):
            engine = GoTestEngine(
                platform,
                pool,
                cover=options.cover,
                race=options.race == "yes",
                only=options.only,
                say=lambda text: print(f"xc: {text}", file=sys.stderr),
            )
            for module in wanted:
                result = engine.run(module, offline=options.offline)
                results.append(result)
                print(as_text(result), end="", flush=True)
    finally:
        pool.close()
    data = {"schema": "xc-go-test/1", "results": [r.as_dict() for r in results]}
    if options.markdown:
        Path(options.markdown).write_text(as_markdown(data), encoding="utf-8")
    if options.json:
        Path(options.json).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if any(r.has(TestVerdict.FAIL) for r in results):
        return EXIT_FINDINGS
    if any(r.error for r in results):
        return EXIT_ERROR
    open_ = any(r.has(TestVerdict.NOT_JUDGED) or r.has(TestVerdict.FAILS_EVERYWHERE) for r in results)
    return EXIT_INCOMPLETE if open_ else EXIT_CLEAN
