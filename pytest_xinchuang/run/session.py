"""What a run is about: platforms, subject, packages, sandboxes. One in each process that runs tests."""

from __future__ import annotations

import contextlib
import io
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import HostFault, UnknownName, XcError
from pytest_xinchuang.core.platform import Platform, Platforms
from pytest_xinchuang.core.profile import Profile, Waiver, load_profile, load_waivers
from pytest_xinchuang.core.requirement import Catalogue, load_catalogue
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.packages.mru.engine import MruEngine
from pytest_xinchuang.packages.sdk_ast.engine import SdkEngine
from pytest_xinchuang.packages.sm_crypto.engine import SmEngine
from pytest_xinchuang.packages.supply_chain.engine import SupplyChainEngine, Trust
from pytest_xinchuang.packages.syscall_bridge.engine import SyscallEngine
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.progress import Progress
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.run.options import option
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
        self.config = config
        self.is_worker = hasattr(config, "workerinput")
        self.run_id = str(config.workerinput["xc_run_id"]) if self.is_worker else secrets.token_hex(8)  # type: ignore[attr-defined]
        files = [resources.platforms_file()]
        files += [Path(p) for group in config.hook.pytest_xc_platforms(config=config) for p in group]
        if own := option(config, "xc_platforms_file"):
            files.append(Path(own))
        self.all_platforms = Platforms(files)
        self.platforms = self.all_platforms.select((option(config, "xc_platform") or "").split(","))
        self.catalogue = self._load_catalogue()
        shipped = Platforms(files[:1])
        self.overridden = {
            p.id
            for p in self.platforms
            if len(files) > 1 and (p.id not in shipped.ids or shipped.get(p.id).digest != p.digest)
        }
        """Platforms whose facts are not those that the suite ships."""
        self.packages = self._choose_packages()
        self.profile = self._load_profile()
        waivers = option(config, "xc_waivers")
        self.waivers: tuple[Waiver, ...] = load_waivers(Path(waivers)) if waivers else ()
        subject = option(config, "xc_subject")
        self.subject = Subject(Path(subject) if subject else resources.fixtures_dir() / "subjects" / "openssl")
        self.backend = option(config, "xc_backend") or "auto"
        self.report_dir = Path(config.invocation_params.dir, option(config, "xc_report") or ".xc")
        self.timeout_scale = self._positive("xc_timeout_scale")
        self.runner = Runner(self.timeout_scale)
        vectors = option(config, "xc_sm_vectors")
        self.sm_vectors = Path(config.invocation_params.dir, vectors) if vectors else None
        if self.sm_vectors is not None and not self.sm_vectors.is_dir():
            raise XcError(f"--xc-sm-vectors={vectors}: no such directory")
        self.trust = Trust(
            proxies=tuple(p for p in (option(config, "xc_proxy") or "").split(",") if p),
            allow_list=self._file("xc_allow_list"),
            advisories=self._file("xc_advisories"),
            mirror_key=self._file("xc_mirror_key"),
        )
        self._engines: dict[str, MruEngine] = {}
        self._sm_engines: dict[str, SmEngine] = {}
        self._sdk_engines: dict[str, SdkEngine] = {}
        self._syscall_engines: dict[str, SyscallEngine] = {}
        self.opened: list[dict[str, Any]] = []

    def _file(self, name: str) -> Path | None:
        """A file or directory that an option names."""
        text = option(self.config, name)
        if not text:
            return None
        path = Path(self.config.invocation_params.dir, text)
        if not path.exists():
            raise XcError(f"--{name.replace('_', '-')}={text}: no such file")
        return path

    def _positive(self, name: str) -> float:
        text = option(self.config, name) or "1"
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value < 1000:
            raise XcError(f"--{name.replace('_', '-')}={text}: expected a number above 0 and below 1000")
        return value

    def _load_catalogue(self) -> Catalogue:
        path = resources.conformance_dir() / "requirements.yaml"
        shipped = load_catalogue(path)
        self._shipped_packages = shipped.packages
        hook = self.config.hook.pytest_xc_requirements(config=self.config)
        own = [Path(p) for group in hook for p in group]
        return load_catalogue(path, *own) if own else shipped

    def _choose_packages(self) -> tuple[str, ...]:
        """The conformance packages whose requirements this run answers for."""
        shipped = self._shipped_packages
        extra = tuple(p for p in self.catalogue.packages if p not in shipped)
        wanted = option(self.config, "xc_suite")
        if wanted is None:
            if self.is_worker:
                return tuple(self.config.workerinput["xc_packages"])  # type: ignore[attr-defined]
            given = self.config.args_source is pytest.Config.ArgsSource.ARGS
            return extra if given and not self._names_conformance() else (*shipped, *extra)
        names = [n.strip() for n in wanted.split(",") if n.strip()]
        if names == ["none"]:
            return extra
        for name in names:
            if name not in self.catalogue.packages:
                raise UnknownName(
                    f"--xc-suite={wanted}: no conformance package {name!r}; there are {', '.join(self.catalogue.packages)}"
                )
        return tuple(dict.fromkeys((*names, *extra)))

    def _names_conformance(self) -> bool:
        here = self.config.invocation_params.dir
        places = (Path(here, arg.split("::")[0]).resolve() for arg in self.config.args)
        return any(place.is_relative_to(resources.conformance_dir()) for place in places)

    def _load_profile(self) -> Profiled:
        name = option(self.config, "xc_profile") or "report"
        return Profiled(name, load_profile(resources.conformance_dir() / "profiles.yaml", name))

    def conformance_args(self) -> list[str]:
        """The directories of the chosen packages that are shipped."""
        places = (resources.conformance_dir() / package for package in self.packages)
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
            keep=bool(self.config.option.xc_keep_sandbox),
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
        if self.backend == "native":
            return
        for platform in self.platforms:
            with contextlib.suppress(HostFault):
                self.pool.store.ensure(platform)

    def mru(self, platform: Platform) -> MruEngine:
        """The MRU engine of a platform; its observations are made once."""
        if platform.id not in self._engines:
            self._engines[platform.id] = MruEngine(platform, self.subject, self.catalogue, self.pool, self.builder)
        return self._engines[platform.id]

    def sm_crypto(self, platform: Platform) -> SmEngine:
        """The SM engine of a platform; its observations are made once."""
        if platform.id not in self._sm_engines:
            self._sm_engines[platform.id] = SmEngine(
                platform, self.subject, self.catalogue, self.pool, self.builder, self.sm_vectors
            )
        return self._sm_engines[platform.id]

    def syscall_bridge(self, platform: Platform) -> SyscallEngine:
        """The system call engine of a platform; its observations are made once."""
        if platform.id not in self._syscall_engines:
            self._syscall_engines[platform.id] = SyscallEngine(
                platform, self.subject, self.catalogue, self.pool, self.builder
            )
        return self._syscall_engines[platform.id]

    def sdk_ast(self, platform: Platform) -> SdkEngine:
        """The SDK engine of a platform; its observations are made once."""
        if platform.id not in self._sdk_engines:
            self._sdk_engines[platform.id] = SdkEngine(
                platform,
                self.subject,
                self.catalogue,
                self.pool.store.cache,
                baseline=option(self.config, "xc_sdk_baseline") or "",
                offline=self.offline,
                runner=self.runner,
            )
        return self._sdk_engines[platform.id]

    @cached_property
    def supply_chain(self) -> SupplyChainEngine:
        """The supply chain engine: what a product is built from is the same on every platform."""
        cache = self.pool.store.cache
        return SupplyChainEngine(
            self.subject, self.catalogue, cache, self.trust, offline=self.offline, runner=self.runner
        )

    @property
    def offline(self) -> bool:
        return bool(self.config.option.xc_offline)

    def close(self) -> None:
        for sm in self._sm_engines.values():
            sm.close()
        for sdk in self._sdk_engines.values():
            sdk.close()
        if "pool" in self.__dict__:
            self.pool.close()
