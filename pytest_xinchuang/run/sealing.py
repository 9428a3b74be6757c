"""What runs beside the checks of a run, looked at in the process that runs them."""

from __future__ import annotations

import functools
import inspect
import os
import platform as host
import re
import sys
import sysconfig
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.assessor import bootstrap
from pytest_xinchuang.core.events import Surrounded, messages_of
from pytest_xinchuang.core.sealed import SUITE
from pytest_xinchuang.core.surroundings import FixtureSeen, Installed, PluginSeen, Standing
from pytest_xinchuang.messages import Message, _, joined, n_, told, verbatim
from pytest_xinchuang.packages.base import entry_points, is_ours
from pytest_xinchuang.run.installed import PACKAGE, by_name, digest_of, files_of, header, look_at, needed, normal, suite
from pytest_xinchuang.run.own_fixtures import OwnFixtures
from pytest_xinchuang.run.patched import Patches

REACHING = (
    "pytest_runtestloop",
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
    "pytest_runtest_call",
    "pytest_runtest_teardown",
    "pytest_runtest_makereport",
    "pytest_runtest_logreport",
    "pytest_pyfunc_call",
    "pytest_fixture_setup",
    "pytest_collection_modifyitems",
    "pytest_itemcollected",
    "pytest_generate_tests",
    "pytest_make_collect_report",
    "pytest_pycollect_makemodule",
    "pytest_pycollect_makeitem",
    "pytest_sessionfinish",
    "pytest_xc_platforms",
    "pytest_xc_packages",
    "pytest_xc_requirements",
    "pytest_xc_sandbox_backends",
)
"""Hooks that see or change every test of a run, those of the suite too, or bring what it believes."""

KNOWN = frozenset(
    {
        *("pytest-xdist", "pytest-cov", "pytest-html", "pytest-metadata", "allure-pytest", "pytest-json-report"),
        *("pytest-reportlog", "pytest-sugar", "pytest-instafail", "pytest-clarity", "pytest-pretty", "pytest-rich"),
        *("hypothesis",),  # the extra sm_crypto brings it
        *("pytest-github-actions-annotate-failures", "pytest-azurepipelines", "teamcity-messages"),
    }
)
"""Distributions of plugins that report or distribute, and change no test."""

VARIABLES = (
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONOPTIMIZE", "PYTHONBREAKPOINT"),
    *("PYTHONPYCACHEPREFIX", "PYTHONPLATLIBDIR", "PYTHONINSPECT", "PYTHONWARNINGS"),
    *("LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_PROFILE", "GCONV_PATH"),
    *("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PATH"),
)
"""Variables of the environment that bring code or options (python(1), ld.so(8), pytest's reference), or choose programs."""

_BRING_CODE = frozenset(
    {*("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONOPTIMIZE", "PYTHONPYCACHEPREFIX", "PYTHONPLATLIBDIR")}
    | {*("LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "GCONV_PATH", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")}
)

_USUAL_PTH = re.compile(r"distutils-precedence|a\d*_coverage|_virtualenv|__editable__.*|_editable_impl_.*|.*-nspkg")
"""``.pth`` files that setuptools, coverage, virtualenv and editable installations leave."""

_SECRET = re.compile(r"://[^/@\s]+@")


def sealed_process() -> bool:
    """Whether ``xc grade`` has started this process, or this worker: by the kernel's word for how, and by Python's flags."""
    flags = sys.flags
    if not (flags.isolated and flags.no_site and flags.safe_path):
        return False
    try:
        words = Path("/proc/self/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    script = str(Path(bootstrap.__file__).resolve()).encode()
    place = words.index(script) if script in words else 0
    return words[1 : 1 + len(bootstrap.FLAGS)] == [flag.encode() for flag in bootstrap.FLAGS] and place == 6


class Watch:
    """Looks at what runs beside the checks while they run, and says it at the end.

    Args:
        distributed: workers run the checks, and each says what it has seen.
    """

    def __init__(self, config: pytest.Config, distributed: bool) -> None:
        self._config = config
        self._distributed = distributed
        self._patches = Patches()
        self._patched: set[str] = set()
        self._workers: list[Surrounded] = []

    def look(self) -> None:
        """What stands in the place of the suite's own code now is remembered, though it be taken away again."""
        self._patched.update(self._patches.now())

    def take(self, worker: Surrounded) -> None:
        """What a worker has seen."""
        self._workers.append(worker)

    def surroundings(self, fixtures: OwnFixtures) -> Surrounded:
        """What ran beside the checks, in this process and in its workers."""
        try:
            self.look()
            theirs = [p for _n, p in self._config.pluginmanager.list_name_plugin() if p is not None]
            seen = surroundings(self._config, fixtures.overridden(theirs), self._patched)
        except Exception as error:  # pytest's and other plugins' insides: what cannot be looked at is not sealed
            seen = _unseen(_("it could not be looked at: {why}", why=told(error)))
        if self._distributed and not self._workers:
            seen = merged(seen, _unseen(_("no worker has said what ran beside its checks")))
        return functools.reduce(merged, self._workers, seen)


def _unseen(why: Message) -> Surrounded:
    return Surrounded(foreign=(str(why),), messages=messages_of(foreign=(why,)))


def surroundings(config: pytest.Config, fixtures: Sequence[FixtureSeen], seen_patched: Iterable[str]) -> Surrounded:
    """What runs beside the checks of this process.

    Args:
        fixtures: fixtures of our names that others define.
        seen_patched: what of the suite was replaced at some time of the run.
    """
    known = by_name()
    names = [name for name in needed(SUITE, known) if name != SUITE]
    # Workers run the same files as their controller, which looks at each.
    worker = hasattr(config, "workerinput")
    distributions = [] if worker else [suite(known), *(look_at(known[name]) for name in names)]
    plugins = tuple(_plugins(config, {name: known[name] for name in (SUITE, *names) if name in known}))
    theirs = tuple(look_at(p.dist) for p in entry_points() if p.dist is not None and not is_ours(p))
    environment = {n: _SECRET.sub("://***@", os.environ[n])[:1000] for n in VARIABLES if os.environ.get(n)}
    patched = tuple(sorted(set(seen_patched)))
    sealed = sealed_process()
    foreign = [*_changed(distributions)]
    if patched:
        foreign.append(_("replaced in the suite: {names}", names=_names(patched)))
    foreign += _of_fixtures(fixtures)
    foreign += [
        _("the environment variable {name}", name=verbatim(name)) for name in environment if name in _BRING_CODE
    ]
    foreign += [_("{file} runs at every start of Python", file=verbatim(file)) for file in _started_with()]
    foreign += _of_plugins(plugins)
    if not sealed:
        foreign += [_("the conformance package {name}", name=verbatim(f"{p.name} {p.version}")) for p in theirs]
    texts = tuple(foreign)
    return Surrounded(
        sealed=sealed and not texts,
        foreign=tuple(map(str, texts)),
        python=host.python_version(),
        python_digest=digest_of(Path(sys.executable).resolve()),
        distributions=tuple(distributions),
        plugins=plugins,
        fixtures=tuple(fixtures),
        patched=patched,
        environment=environment,
        ini=_ini(config),
        packages=theirs,
        messages=messages_of(foreign=texts),
    )


def merged(one: Surrounded, other: Surrounded) -> Surrounded:
    """What two processes of one run say: sealed when both are, and everything that one of them has seen."""
    texts = tuple(dict.fromkeys((*one.said_all("foreign"), *other.said_all("foreign"))))
    return one.model_copy(
        update={
            "sealed": one.sealed and other.sealed,
            "foreign": tuple(map(str, texts)),
            "messages": messages_of(foreign=texts),
            "plugins": tuple(dict.fromkeys((*one.plugins, *other.plugins))),
            "fixtures": tuple(dict.fromkeys((*one.fixtures, *other.fixtures))),
            "patched": tuple(sorted({*one.patched, *other.patched})),
        }
    )


def _names(names: Iterable[str]) -> Message:
    return joined([verbatim(name) for name in names], _(", "))


def _changed(distributions: Iterable[Installed]) -> Iterator[Message]:
    for one in distributions:
        if one.changed:
            yield n_(
                "a file of {name} is not as it was released: {files}",
                "{n} files of {name} are not as they were released: {files}",
                len(one.changed),
                name=verbatim(one.name),
                files=_names(one.changed[:3]),
            )


def _of_plugins(plugins: Iterable[PluginSeen]) -> Iterator[Message]:
    """Plugins of others: what nobody has released comes first, a distribution is told once."""
    theirs = [plugin for plugin in plugins if plugin.standing == "foreign"]
    for plugin in [p for p in theirs if not p.distribution]:
        where = verbatim(plugin.file or plugin.name)
        what = where if plugin.conftest else _("the plugin {name}", name=where)
        if plugin.hooks:
            yield _("{what} with {hooks}", what=what, hooks=_names(plugin.hooks[:3]))
        else:
            yield what
    released = {f"{p.distribution} {p.version}": None for p in theirs if p.distribution}
    for name in released:
        yield _("the plugin {name}", name=verbatim(name))


def _of_fixtures(fixtures: Iterable[FixtureSeen]) -> Iterator[Message]:
    for one in fixtures:
        yield _(
            "{file} defines the fixture {name}, which the tests of the suite do not use",
            file=verbatim(one.file),
            name=verbatim(one.name),
        )


def _plugins(config: pytest.Config, needed: Mapping[str, Distribution]) -> Iterator[PluginSeen]:
    """The plugins of a run.

    Args:
        needed: the distributions that the suite cannot do without, by name.
    """
    manager = config.pluginmanager
    of_distribution: dict[str, tuple[str, str]] = {}
    for plugin, facade in manager.list_plugin_distinfo():
        found: Any = facade  # it has what the distribution has
        of_distribution[_module(plugin).partition(".")[0]] = (normal(header(found, "Name")), header(found, "Version"))
    if hasattr(config, "workerinput"):
        # A worker's own program has come over a pipe from pytest-xdist, and has no file.
        of_distribution["__channelexec__"] = ("pytest-xdist", "")
    owners = {file.path: name for name in needed for file in files_of(needed[name])}
    hooks = _reaching(manager)
    seen: set[tuple[str, str]] = set()
    for name, plugin in manager.list_name_plugin():
        if plugin is None:
            continue
        module, file = _module(plugin), _file(plugin)
        of, version = of_distribution.get(module.partition(".")[0], ("", ""))
        if not of and (owner := owners.get(file)):
            of, version = owner, header(needed[owner], "Version")
        standing = _standing(plugin, name, of, file, needed)
        shown = f"{module}.{type(plugin).__name__}" if name.isdigit() else name
        if (shown, file) in seen:
            continue
        seen.add((shown, file))
        theirs = standing in ("foreign", "known")
        yield PluginSeen(
            name=shown,
            standing=standing,
            distribution=of,
            version=version,
            file=file,
            digest=digest_of(Path(file)) if file and theirs else "",
            conftest=Path(file).name == "conftest.py" and name == file,
            hooks=hooks.get(id(plugin), ()) if theirs else (),
        )


def _reaching(manager: pytest.PytestPluginManager) -> dict[int, tuple[str, ...]]:
    """Plugin, by identity -> its hooks that reach every test."""
    found: dict[int, tuple[str, ...]] = {}
    for name in REACHING:
        caller = getattr(manager.hook, name, None)
        for implementation in caller.get_hookimpls() if caller is not None else ():
            key = id(implementation.plugin)
            found[key] = (*found.get(key, ()), name)
    return found


def _module(plugin: object) -> str:
    return str(getattr(plugin, "__name__", "") if inspect.ismodule(plugin) else type(plugin).__module__)


def _file(plugin: object) -> str:
    module = plugin if inspect.ismodule(plugin) else sys.modules.get(type(plugin).__module__)
    return str(getattr(module, "__file__", "") or "")


def _standing(plugin: object, name: str, distribution: str, file: str, needed: Container[str]) -> Standing:
    path = Path(file)
    if path.is_relative_to(PACKAGE) or (name == "xinchuang-packages" and inspect.ismodule(plugin) and not file):
        return "ours"
    if path.is_relative_to(Path(pytest.__file__).parent) or path.is_relative_to(_pytest_place()):
        return "pytest"
    return "known" if distribution in KNOWN or (distribution and distribution in needed) else "foreign"


@functools.cache
def _pytest_place() -> Path:
    import _pytest

    return Path(_pytest.__file__).parent


def _started_with() -> Iterator[str]:
    """Files that bring code into every Python of this environment, which the standard library and usual tools do not have."""
    standard = Path(sysconfig.get_path("stdlib"))
    for name in ("sitecustomize", "usercustomize"):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and (not Path(file).is_relative_to(standard) or "site-packages" in file):
            yield file
    if sys.flags.no_site:
        return
    for place in sys.path:
        if not place.endswith(("site-packages", "dist-packages")) or not Path(place).is_dir():
            continue
        for pth in sorted(Path(place).glob("*.pth")):
            if _USUAL_PTH.fullmatch(pth.stem):
                continue
            try:
                text = pth.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            if any(line.startswith(("import ", "import\t")) for line in text.splitlines()):
                yield str(pth)


def _ini(config: pytest.Config) -> dict[str, str]:
    """Values of the ini file that was read; secrets in addresses are left out."""
    found = getattr(config, "_inicfg", None) or {}
    if not found and not hasattr(config, "_inicfg"):
        found = getattr(config, "inicfg", None) or {}
    return {str(n): _SECRET.sub("://***@", str(getattr(v, "value", v)))[:300] for n, v in sorted(found.items())}
