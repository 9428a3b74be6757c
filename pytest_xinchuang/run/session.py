"""What a run is about: platforms, subject, packages, sandboxes. One in each process that runs tests."""

from __future__ import annotations

import contextlib
import io
import secrets
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from pytest_xinchuang.assessor.assessed import Assessed
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.elsewhere import is_linux
from pytest_xinchuang.core.errors import HostFault, UnknownName, XcError
from pytest_xinchuang.core.events import SandboxOpened
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.platform import Platform, load_platforms
from pytest_xinchuang.core.profile import Profile, Waiver, load_profile, load_waivers
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.stale import DEFAULT_REPORTS, written_by_runs
from pytest_xinchuang.core.subject import MANIFEST
from pytest_xinchuang.core.verdict import Cause, Decision, Verdict
from pytest_xinchuang.messages import LANGUAGES, _, choose_language, joined, verbatim
from pytest_xinchuang.packages.protocol import ConformancePackage, Engine
from pytest_xinchuang.packages.registry import Registry, installed, is_shipped
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.progress import Progress
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.run.marks import Marks
from pytest_xinchuang.run.options import flag, option
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder
from pytest_xinchuang.tools.process import Runner

SESSION: pytest.StashKey[XcSession] = pytest.StashKey()


@dataclass(frozen=True)
class Profiled:
    """The chosen profile under its id."""

    id: str
    profile: Profile


class _Terminal(io.TextIOBase):
    """The terminal while tests run: capturing is suspended for each line. Never a tty: no thread may do this."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def write(self, text: str) -> int:
        writer = self._config.get_terminal_writer()
        capture = self._config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            # In the middle of a line of dots a new one is begun.
            writer.write(f"\n{text.rstrip()}")
            writer.flush()
        return len(text)


class XcSession:
    """Everything that options and manifest say, checked; sandboxes and engines on demand.

    Raises:
        XcError: an option, a data file or the manifest is wrong.
    """

    def __init__(self, config: pytest.Config) -> None:
        if sys.flags.optimize:
            raise XcError(
                _(
                    "{option} takes assertions out of Python: what a test asserts would not be looked at",
                    option=verbatim("-O"),
                ),
                mend=_("leave out {option} and {variable}", option=verbatim("-O"), variable=verbatim("PYTHONOPTIMIZE")),
            )
        self.config = config
        self.is_worker = hasattr(config, "workerinput")
        self.language = self._choose_language()
        self.run_id = str(config.workerinput["xc_run_id"]) if self.is_worker else secrets.token_hex(8)  # type: ignore[attr-defined]
        self.marks = Marks(str(config.workerinput["xc_key"]) if self.is_worker else "")  # type: ignore[attr-defined]
        files = [resources.platforms_file()]
        files += _paths("pytest_xc_platforms", config.hook.pytest_xc_platforms(config=config))
        if own := option(config, "xc_platforms_file"):
            files.append(Path(own))
        self.all_platforms = load_platforms(*files)
        self.platforms = self.all_platforms.select((option(config, "xc_platform") or "").split(","))
        own_packages: list[Sequence[ConformancePackage]] = config.hook.pytest_xc_packages(config=config)
        self.registry: Registry = installed([package for group in own_packages for package in group])
        self.catalogue = self._load_catalogue()
        shipped = load_platforms(files[0])
        self.overridden = {
            p.id for p in self.platforms if p.id not in shipped.ids or shipped.get(p.id).digest != p.digest
        }
        """Platforms whose facts are not those that the suite ships."""
        self.profile = self._load_profile()
        waivers = option(config, "xc_waivers")
        self.waivers: tuple[Waiver, ...] = load_waivers(Path(waivers)) if waivers else ()
        self.backend = option(config, "xc_backend") or "auto"
        self.report_dir = Path(config.invocation_params.dir, option(config, "xc_report") or DEFAULT_REPORTS)
        # A run that writes into its subject's directory does not change the subject.
        written = written_by_runs(self.report_dir.resolve())
        manifest = self._manifest()
        self.has_manifest = manifest is not None
        """Whether a product is graded, and not the target's own OpenSSL for want of one."""
        self.subject = self.registry.subject(manifest or resources.fixtures_dir() / "subjects" / "openssl", written)
        self.packages = self._choose_packages()
        self.timeout_scale = self._positive("xc_timeout_scale")
        self.runner = Runner(self.timeout_scale)
        self._engines: dict[tuple[str, str], Engine] = {}
        self.assessed: Assessed | None = None
        """What a sealed process decides in the place of this one's engines."""
        self.opened: list[SandboxOpened] = []
        """The sandboxes that were opened and are not in the journal yet."""
        for package in self.registry:
            package.check(self)

    @cached_property
    def shipped(self) -> frozenset[str]:
        """The packages of the suite itself."""
        return frozenset(package.name for package in self.registry if is_shipped(package))

    @property
    def shipped_packages(self) -> tuple[str, ...]:
        """Those packages of this run that are the suite's own."""
        return tuple(name for name in self.packages if name in self.shipped)

    def _choose_language(self) -> str:
        wanted = option(self.config, "xc_language")
        if wanted is not None and wanted not in LANGUAGES:
            raise XcError(
                _(
                    "--xc-language={wanted}: expected {languages}",
                    wanted=wanted,
                    languages=joined([verbatim(name) for name in LANGUAGES], _(", ")),
                )
            )
        return choose_language(wanted)

    def option(self, name: str) -> str | None:
        """An option's value: of the command line, else of the ini file, else None."""
        return option(self.config, name)

    def option_path(self, name: str, *, directory: bool = False) -> Path | None:
        """The file or directory that an option names.

        Raises:
            XcError: it is not there, or is no directory where one is asked for.
        """
        text = option(self.config, name)
        if not text:
            return None
        path = Path(self.config.invocation_params.dir, text)
        if not (path.is_dir() if directory else path.exists()):
            given = verbatim(f"--{name.replace('_', '-')}={text}")
            raise XcError(
                _("{option}: no such directory", option=given)
                if directory
                else _("{option}: no such file", option=given)
            )
        return path

    def _positive(self, name: str) -> float:
        text = option(self.config, name) or "1"
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value < 1000:
            flag = "--" + name.replace("_", "-")
            raise XcError(_("{option}={given}: expected a number above 0 and below 1000", option=flag, given=text))
        return value

    def _load_catalogue(self) -> Catalogue:
        shipped = self.registry.catalogue()
        self._shipped_packages = shipped.packages
        self.own_catalogues = _paths(
            "pytest_xc_requirements", self.config.hook.pytest_xc_requirements(config=self.config)
        )
        return self.registry.catalogue(*self.own_catalogues) if self.own_catalogues else shipped

    def _manifest(self) -> Path | None:
        """The manifest of the product: the one that is named, else the one in the directory that pytest calls its root."""
        if named := option(self.config, "xc_subject"):
            return Path(named)
        found = self.config.rootpath / MANIFEST
        return found if found.is_file() else None

    def _choose_packages(self) -> tuple[str, ...]:
        """The conformance packages whose requirements this run answers for."""
        shipped = self._shipped_packages
        extra = tuple(p for p in self.catalogue.packages if p not in shipped)
        wanted = option(self.config, "xc_suite")
        if wanted is None:
            if self.is_worker:
                return tuple(self.config.workerinput["xc_packages"])  # type: ignore[attr-defined]
            if self._names_conformance():
                return (*shipped, *extra)
            given = self.config.args_source is pytest.Config.ArgsSource.ARGS
            return extra if given or not self.has_manifest else (*self._concerned(shipped), *extra)
        names = [n.strip() for n in wanted.split(",") if n.strip()]
        if not names:
            raise XcError(
                _("{option}: no conformance package is named", option=verbatim(f"--xc-suite={wanted}")),
                mend=_("leave it out for those of the manifest, or say {none}", none=verbatim("--xc-suite=none")),
            )
        if names == ["none"]:
            return extra
        if names == ["all"]:
            return (*shipped, *extra)
        for name in names:
            if name not in self.catalogue.packages:
                known = self.catalogue.packages
                raise UnknownName(
                    _(
                        "{option}: no conformance package {name}{hint}; there are {known}",
                        option=verbatim(f"--xc-suite={wanted}"),
                        name=verbatim(repr(name)),
                        hint=near(name, known),
                        known=joined(map(verbatim, known), _(", ")),
                    )
                )
        return tuple(dict.fromkeys((*names, *extra)))

    def _concerned(self, names: Iterable[str]) -> list[str]:
        """Those packages that the manifest has something for. One that does not say is asked."""
        found = []
        for name in names:
            concerns = getattr(self.registry.get(name), "concerns", None) if name in self.registry.names else None
            if concerns is None or concerns(self.subject.file):
                found.append(name)
        return found

    def _names_conformance(self) -> bool:
        here = self.config.invocation_params.dir
        places = [Path(here, arg.split("::")[0]).resolve() for arg in self.config.args]
        homes = [resources.conformance_dir(), *(p.checks.resolve() for p in self.registry if p.checks is not None)]
        return any(place.is_relative_to(home) for place in places for home in homes)

    def _load_profile(self) -> Profiled:
        name = option(self.config, "xc_profile") or "report"
        return Profiled(name, load_profile(resources.conformance_dir() / "profiles.yaml", name))

    def conformance_args(self) -> list[str]:
        """The directories of the chosen packages' tests."""
        places = [p.checks for p in self.registry if p.name in self.packages and p.checks is not None]
        return [str(place) for place in places if place.is_dir()]

    @cached_property
    def pool(self) -> Pool:
        quiet = self.is_worker or bool(self.config.option.verbose < 0)
        progress = Progress(quiet=quiet, stream=_Terminal(self.config))
        cache = Cache()
        cache.clean()
        store = Store(
            self.all_platforms,
            cache,
            progress,
            offline=self.offline,
            packages=self.subject.file.rootfs_packages,
            runner=self.runner,
        )
        backends = {
            name: make
            for group in self.config.hook.pytest_xc_sandbox_backends(config=self.config)
            for name, make in group.items()
        }
        return Pool(
            store,
            self.backend,
            timeout_scale=self.timeout_scale,
            image=option(self.config, "xc_image"),
            run_id=self.run_id,
            keep=flag(self.config, "xc_keep_sandbox"),
            extra_backends=backends,
            on_open=self.opened.append,
        )

    @cached_property
    def builder(self) -> Builder:
        return Builder(self.pool.store.cache, self.pool.store.progress, self.runner)

    def provision(self) -> None:
        """Make what is missing before the first test asks for it, with progress where it can be seen.

        What cannot be made is told by the checks that need it.
        """
        if self.backend == "native" or not is_linux():
            return
        for platform in self.platforms:
            with contextlib.suppress(HostFault):
                self.pool.store.ensure(platform)

    def decision(self, requirement_id: str, platform: Platform) -> Decision:
        """What the package of a requirement decides about it on a platform."""
        requirement = self.catalogue.get(requirement_id)
        if requirement is None:
            hint = near(requirement_id, (r.id for r in self.catalogue.requirements))
            reason = _("{requirement} is not in the catalogue{hint}", requirement=verbatim(requirement_id), hint=hint)
            return Decision(Verdict.INCONCLUSIVE, Cause.HOST, reason)
        return self.engine(requirement.package, platform).decision(requirement_id)

    def assessed_elsewhere(self, requirements: Collection[str]) -> bool:
        """Whether a sealed process decides these requirements, and not this run: they are the suite's own."""
        if self.assessed is None or not requirements:
            return False
        found = [self.catalogue.get(requirement) for requirement in requirements]
        return all(r is not None and r.package in self.shipped for r in found) and self.assessed.decides

    def engine(self, package: str, platform: Platform) -> Engine:
        """The engine of a package for a platform, made when it is first asked for.

        Raises:
            UnknownName: there is no such package.
        """
        key = (package, platform.id)
        if key not in self._engines:
            self._engines[key] = self.registry.get(package).engine(self, platform)
        return self._engines[key]

    @property
    def distributed(self) -> bool:
        """Whether workers collect and run the tests."""
        given = self.config.option
        return not self.is_worker and bool(getattr(given, "tx", None) or getattr(given, "dist", "no") != "no")

    @property
    def offline(self) -> bool:
        return flag(self.config, "xc_offline")

    def close(self) -> None:
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()
        if "pool" in self.__dict__:
            self.pool.close()


def _paths(hook: str, returned: Iterable[object]) -> list[Path]:
    """The files that the implementations of a hook returned, each once.

    Raises:
        XcError: one returned something else than a list of paths, e.g. a single text.
    """
    found: dict[Path, Path] = {}
    for group in returned:
        if isinstance(group, (str, bytes, Path)) or not isinstance(group, Iterable):
            raise XcError(
                _(
                    "the hook {hook} returned {value}, and not a list of paths",
                    hook=verbatim(hook),
                    value=verbatim(repr(group)[:200]),
                ),
                mend=_("return [path], also for a single file"),
            )
        for each in group:
            if not isinstance(each, (str, Path)):
                raise XcError(
                    _(
                        "the hook {hook} returned {value}, which is no path",
                        hook=verbatim(hook),
                        value=verbatim(repr(each)[:200]),
                    )
                )
            found.setdefault(Path(each).resolve(), Path(each))
    return list(found.values())
