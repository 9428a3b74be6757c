"""The sealed process that decides the checks of the suite for a run of plain pytest: whether it can, its start and its end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from pytest_xinchuang import __version__
from pytest_xinchuang.assessor import bootstrap
from pytest_xinchuang.assessor.assessed import Assessed
from pytest_xinchuang.assessor.starting import Place, absolute, command, sealed_environment, sealed_path
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.elsewhere import is_linux
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.events import RunStarted, Surrounded, messages_of
from pytest_xinchuang.core.locks import lock
from pytest_xinchuang.core.sealed import is_sealed
from pytest_xinchuang.core.stale import OUTPUT, RUNNING, SEALED, SELECTION
from pytest_xinchuang.core.surroundings import AssessorSeen
from pytest_xinchuang.messages import NOTHING, Message, _, joined, told, verbatim
from pytest_xinchuang.run.options import flag
from pytest_xinchuang.run.sealing import sealed_process

if TYPE_CHECKING:
    from pytest_xinchuang.run.session import XcSession
    from pytest_xinchuang.tools.process import Running

IN_PROCESS = "xc_in_process"
"""The flag by which a run decides everything itself."""
VARIABLE = "XC_IN_PROCESS"
"""The environment variable that does the same, for runs within tests: ``1``."""

_BRINGING = ("pytest_xc_platforms", "pytest_xc_packages", "pytest_xc_sandbox_backends")
"""Hooks that bring what a sealed process does not have, and what decides."""

_COMPILERS = ("go", "zig")
"""Programs that a user may have anywhere; a sealed process is told where."""

_GRACE_S = 10.0
"""Seconds that a process may take to close its sandboxes when the run ends before it."""


def assessed(session: XcSession) -> Assessed:
    """What the sealed process of this run decides, for whoever waits for it."""
    return Assessed(session.report_dir.absolute() / SEALED, lambda started: _mistaken(started, session))


def select(session: XcSession, items: Iterable[pytest.Item]) -> None:
    """Write down which of the selected tests the suite ships: in each process that collects, and each writes the same.

    Their node ids do not say where they stand, and a process that stands elsewhere is told it.
    """
    if session.assessed is None:
        return
    home = resources.conformance_dir()
    nodes = []
    for item in items:
        path = item.path.resolve()
        if path.is_relative_to(home.resolve()):
            nodes.append(f"{home / path.relative_to(home.resolve())}::{item.nodeid.partition('::')[2]}")
    directory = session.assessed.directory
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=directory, prefix=SELECTION, delete=False) as file:
        file.write("\n".join(nodes))
    Path(file.name).replace(directory / SELECTION)


def is_selection(config: pytest.Config) -> bool:
    """Whether this process was started for single checks of the suite, and for no others."""
    return sealed_process() and any("::" in argument for argument in config.args)


def _mistaken(started: RunStarted, session: XcSession) -> Message:
    """Why a run that begins so decides nothing for this one; NOTHING: it grades the same."""
    theirs = (
        started.suite.version,
        started.subject.digest,
        {platform.id: platform.digest for platform in started.platforms},
        started.profile.id,
        started.run.backend,
        set(started.packages),
    )
    ours = (
        __version__,
        session.subject.digest,
        {platform.id: platform.digest for platform in session.platforms},
        session.profile.id,
        session.backend,
        set(session.shipped_packages),
    )
    if theirs == ours:
        return NOTHING
    return _("the sealed process grades something else: {theirs}", theirs=verbatim(str(theirs)[:300]))


class Assessor:
    """Starts the sealed process of a run, and ends it. It is made in the process that writes the report.

    Attributes:
        why_not: why there is none; NOTHING: there is one, or none was asked for.
        wanted: the checks of the suite are its to decide.
        interrupted: nobody waited for its end any more.
    """

    def __init__(self, session: XcSession) -> None:
        self._session = session
        self._running: Running | None = None
        self._lock: IO[str] | None = None
        self._place: Place | None = None
        self._ended = self.interrupted = False
        self.directory = session.report_dir.absolute() / SEALED
        self.why_not = NOTHING
        self.wanted = (
            bool(session.shipped_packages)
            and not sealed_process()
            and not getattr(session.config.option, "setuponly", False)
        )
        if self.wanted:
            self.why_not = _why_not(session) or self._reserve()
            self.wanted = not self.why_not

    def _reserve(self) -> Message:
        """Lock what tells everybody that the process has not ended: it is ours until it is the process's own."""
        try:
            self.directory.mkdir(exist_ok=True)
            (self.directory / SELECTION).unlink(missing_ok=True)
            self._lock = (self.directory / RUNNING).open("w", encoding="utf-8")
            lock(self._lock)
        except OSError as error:
            self._release()
            return told(error)
        return NOTHING

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def start(self) -> None:
        """Start the process for what was selected, if that is anything, once."""
        if self._lock is None:
            return
        selection = self.directory / SELECTION
        try:
            if selection.is_file() and selection.stat().st_size:
                self._start(selection, self._lock)
        except (OSError, ValueError, HostFault) as error:
            self.why_not = _("the sealed process could not be started: {why}", why=told(error))
            if self._place is not None:
                self._place.remove()
        self._release()

    def _start(self, selection: Path, lock: IO[str]) -> None:
        place = self._place = Place.make()
        environment = _started_with()
        tools = [str(Path(found).parent) for found in _elsewhere(environment.get("PATH", ""))]
        with (self.directory / OUTPUT).open("wb") as output:
            self._running = self._session.runner.start(
                command(place.path, [*_arguments(self._session, self.directory), f"@{selection}"]),
                cwd=place.path,
                env=sealed_environment(environment, tools=tools),
                stdout=output,
                stderr=output,
                pass_fds=[lock.fileno(), place.lock],
                dies_with_us=True,
            )
        place.hand_on()

    def end(self, *, wait: bool) -> None:
        """Wait until the process has written its report, or have it end now where nobody waits for it."""
        self._release()
        if self._running is None or self._ended:
            return
        self._ended, found = True, self._session.assessed
        try:
            if wait and found is not None and not found.refusal:
                self._running.wait()
        except KeyboardInterrupt:
            self.interrupted = True
        self._running.interrupt(self._session.runner.seconds(_GRACE_S))
        if self._place is not None:
            self._place.remove()

    @property
    def failed(self) -> bool:
        """Whether the process has ended and says that something failed."""
        return self._running is not None and self._ended and self._running.status == bootstrap.BELOW

    def seen(self, by_us: Surrounded) -> Surrounded:
        """What ran beside the checks, with who decided those of the suite, once the process has ended."""
        if self._running is None:
            return _with_reason(by_us, self.why_not) if self.why_not else by_us
        found = self._session.assessed
        assert found is not None
        if not found.decides:
            return _with_reason(by_us, found.refusal or self._said())
        journal = found.end()
        assert journal is not None
        assessor = AssessorSeen(
            reports=SEALED,
            run_id=journal.started.run.id,
            head=journal.head,
            sealed=is_sealed(journal),
            finished=not journal.problems,
        )
        return by_us.model_copy(update={"assessor": assessor})

    def _said(self) -> Message:
        """How the process ended that has decided nothing: the last line that it has said."""
        try:
            text = (self.directory / OUTPUT).read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        lines = [line for line in text.splitlines() if line.strip(" =")]
        errors = [line for line in lines if "rror" in line]
        said = next(reversed(errors or lines), "")
        return _("the sealed process ended without a decision: {said}", said=verbatim(said.strip()[:300]))


def _with_reason(seen: Surrounded, why: Message) -> Surrounded:
    return seen.model_copy(
        update={"in_process": str(why), "messages": {**seen.messages, **messages_of(in_process=why)}}
    )


def _why_not(session: XcSession) -> Message:
    """Why a sealed process would not reach the decisions of this run; NOTHING: it would."""
    config = session.config
    if not is_linux():
        return _("it needs Linux")
    if flag(config, IN_PROCESS):
        return _("{option} was given", option=verbatim("--xc-in-process"))
    if os.environ.get(VARIABLE, "0") not in ("", "0"):
        return _("the variable {name} is set", name=verbatim(VARIABLE))
    for name in _BRINGING:
        for hook in getattr(config.hook, name).get_hookimpls():
            brings = verbatim(str(getattr(hook, "plugin_name", "?")))
            return _("{plugin} has the hook {hook}", plugin=brings, hook=verbatim(name))
    tx: list[str] = getattr(config.option, "tx", None) or []
    if elsewhere := [spec for spec in tx if "popen" not in spec]:
        specs = joined([verbatim(spec) for spec in elsewhere], _(", "))
        return _("tests run on other machines: {specs}", specs=specs)
    return NOTHING


def _arguments(session: XcSession, reports: Path) -> list[str]:
    """The options of pytest that say to a sealed process what this run was told; paths are absolute."""
    here = session.config.invocation_params.dir
    found = [
        f"--xc-platform={','.join(platform.id for platform in session.platforms)}",
        f"--xc-language={session.language}",
        f"--xc-report={reports}",
        f"--xc-suite={','.join(session.shipped_packages)}",
        f"--xc-subject={session.subject.manifest.absolute()}",
        f"--workers={_workers(session)}",
        "--color=no",
    ]
    for name in ("xc_waivers", "xc_platforms_file"):
        if value := session.option(name):
            found.append(f"--{name.replace('_', '-')}={here / value}")
    for name in ("xc_profile", "xc_backend", "xc_image", "xc_timeout_scale"):
        if value := session.option(name):
            found.append(f"--{name.replace('_', '-')}={value}")
    for package in (session.registry.get(name) for name in session.shipped):
        for option in package.options:
            value = session.option(option.name)
            if value is not None:
                found.append(f"{option.flag}={absolute(option, value, here)}")
    flags = ("xc_offline", "xc_keep_sandbox")
    return [*found, *(f"--{name.replace('_', '-')}" for name in flags if flag(session.config, name))]


def _workers(session: XcSession) -> int:
    """How many workers pytest-xdist was told to start, each as ``popen`` or ``3*popen``."""
    tx: list[str] = getattr(session.config.option, "tx", None) or []
    counts = [spec.partition("*")[0] for spec in tx]
    return max(sum(int(count) if count.isdigit() else 1 for count in counts), 1)


def _started_with() -> dict[str, str]:
    """The environment that this process was started with: nothing that ran since has had a hand in it."""
    try:
        lines = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return dict(os.environ)
    pairs = (os.fsdecode(line).partition("=") for line in lines if line)
    return {name: value for name, _equals, value in pairs}


def _elsewhere(path: str) -> Iterator[str]:
    """The compilers of the user that a sealed process would not find by itself."""
    for program in _COMPILERS:
        found = shutil.which(program, path=path)
        if found and shutil.which(program, path=sealed_path()) is None:
            yield str(Path(found).absolute())
