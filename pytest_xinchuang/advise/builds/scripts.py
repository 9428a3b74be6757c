"""Scripts that choose by the machine: each is run in every guise, and does nothing but to say where it goes.

The programs that it calls are written down and do nothing, but for those that only look at texts. bash tells the line of each
command, so that the place where a script ends is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.advise.aside import is_aside
from pytest_xinchuang.advise.builds.guise import SYSTEM_PROGRAMS
from pytest_xinchuang.advise.builds.record import guises
from pytest_xinchuang.advise.builds.site import Site, open_site
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import Triple, triple_of
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Arch, Architecture, Platform
from pytest_xinchuang.inspect.roles import architecture_named
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.sandbox.shims import FETCHERS, as_another, fetcher, quiet, recorder

MOST_SCRIPTS = 24
"""Scripts that are run: those nearest to the root."""
LARGEST_SCRIPT = 256 << 10
SCRIPT_S = 20.0
"""Seconds for one script whose programs do nothing."""
LARGEST_TRACE = 4 << 20
BASH = "/bin/bash"

_ASKS = re.compile(r"\buname\b|\barch\b|--print-architecture|rpm\s+(?:-E|--eval)|\blscpu\b|\bHOSTTYPE\b|\bMACHTYPE\b")
_SHELL = re.compile(r"#!\s*(?:/usr)?/bin/(?:env\s+)?(?:ba|da)?sh\b")
_INSTALLS = re.compile(
    r"(?:^|/)(?:[\w.-]*install|setup|bootstrap|get|configure|build|make|download)[\w.-]*\.sh$|(?:^|/)install$"
)
"""Scripts by which a product is built or put on a machine."""
_FETCHES = re.compile(rf"\b(?:{'|'.join(FETCHERS)})\b")
_OF_ITS_MAKERS = re.compile(r"(?:^|/)\.?(?:ci|github|gitlab|travis|circleci|appveyor|azure|jenkins)[\w-]*/")
"""Directories of what runs on its makers' own machines, where no product is put up."""
_NOT_RUN = (
    "configure", "config.guess", "config.sub", "ltmain.sh", "install-sh", "libtool", "missing", "depcomp", "compile",
    "ylwrap",
)  # fmt: skip
"""Scripts of build tools, which are run where they belong."""

_REAL = (
    "sh", "bash", "dash", "cat", "echo", "printf", "test", "[", "expr", "basename", "dirname", "tr", "cut", "head",
    "tail", "sort", "uniq", "wc", "sed", "grep", "egrep", "fgrep", "awk", "gawk", "mawk", "xargs", "date", "sleep",
    "true", "false", "seq", "tac", "rev", "env", "which", "readlink", "realpath", "pwd", "mktemp", "ls", "find", "stat",
    "od", "tee", "comm", "paste", "nproc",
)  # fmt: skip
"""Programs that look at texts and files, and are run as they are."""
_WRITES = ("mkdir", "cp", "mv", "rm", "ln", "touch", "chmod", "chown", "install", "rmdir")
_AS_ANOTHER = ("sudo", "doas", "nohup", "nice", "time", "timeout")
_OTHERS = (
    "apt-get", "apt", "yum", "dnf", "zypper", "apk", "pacman", "brew", "snap", "systemctl", "service", "docker", "podman",
    "tar", "unzip", "gunzip", "gzip", "bzip2", "xz", "zstd", "pip", "pip3", "npm", "yarn", "node", "go", "cargo",
    "rustup", "java", "javac", "mvn", "git", "svn", "make", "cmake", "ninja", "meson", "python", "python3", "perl", "gcc",
    "g++", "cc", "ssh", "scp", "rsync", "useradd", "groupadd", "getent", "passwd", "ldconfig", "update-alternatives",
    "modprobe", "insmod", "depmod", "sysctl", "crontab",
)  # fmt: skip
"""Programs that scripts call and that this host may not have."""
_STEP = re.compile(r"^x+\x1f(?P<file>[^\x1f]*)\x1f(?P<line>\d+)\x1f(?P<words>.*)$")


@dataclass(frozen=True)
class Walk:
    """One run of a script.

    Attributes:
        steps: (line, words) of each command of the script's own, in their order.
        asked: it has asked for the machine.
        requests: what its programs were asked for.
    """

    code: int
    steps: tuple[tuple[int, str], ...] = ()
    asked: bool = False
    requests: tuple[str, ...] = ()
    lost: Message = NOTHING


class ScriptsSurvey:
    """Runs the tree's scripts."""

    name = "scripts"

    def applies(self, tree: SourceTree) -> bool:
        return bool(scripts_of(tree))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        surveyed = Surveyed()
        scripts = scripts_of(tree)
        installing = [s for s in scripts if _INSTALLS.search(s)]
        if not work.build or not Path(BASH).exists():
            why = _("scripts are not run")
            part = Part(_("scripts"), 0, len(scripts), why=((why, len(scripts)),))
            surveyed.add((p.id for p in work.platforms), part)
            return surveyed
        walks = _walked(tree, work, scripts)
        for platform in work.platforms:
            judged = 0
            for script in scripts:
                base, other = walks[work.baseline].get(script), walks[triple_of(platform)].get(script)
                if base is None or other is None or base.lost or other.lost:
                    continue
                found = list(_compared(script, base, other, platform, work.architectures))
                surveyed.findings += found
                judged += script in installing and (base.code == 0 or bool(found))
            left = len(installing) - judged
            if installing:
                lost = ((_("it ends with an error on x86-64 too, or not at all"), left),) if left else ()
                name = _("install scripts")
                part = Part(
                    name, judged, len(installing), by=verbatim("bash"), found=_("run without their programs"), why=lost
                )
                surveyed.add((platform.id,), part)
        return surveyed


def scripts_of(tree: SourceTree) -> list[str]:
    """Shell scripts that ask for the machine, or fetch what a product is put up with, nearest to the root first."""
    found = []
    for name in sorted(tree.files, key=lambda f: (f.count("/"), f)):
        last = name.rpartition("/")[2]
        if last in _NOT_RUN or ("." in last and not last.endswith(".sh")):
            continue
        text = tree.text(name)
        if text is None or len(text) > LARGEST_SCRIPT or not _SHELL.match(text):
            continue
        fetches = _FETCHES.search(text) and not _OF_ITS_MAKERS.search(name) and not is_aside(name)
        if not fetches and not _ASKS.search(text):
            continue
        found.append(name)
        if len(found) >= MOST_SCRIPTS:
            break
    return found


def _walked(tree: SourceTree, work: Work, scripts: list[str]) -> dict[Triple, dict[str, Walk]]:
    wanted = guises(work)

    def one(triple: Triple) -> dict[str, Walk]:
        place = work.scratch / "scripts" / triple.zig
        site = open_site(tree, wanted[triple], work, place, work.baseline, compiles=False)
        _put_up(site)
        return {script: _walk(site, script) for script in scripts}

    with ThreadPoolExecutor(max_workers=max(1, min(work.jobs, len(wanted)))) as pool:
        return dict(zip(wanted, pool.map(one, wanted), strict=True))


def _put_up(site: Site) -> None:
    """Lay out the programs that a script finds: those that do nothing, and those that look at texts."""
    own = site.place / "shims" / "quiet"
    own.mkdir(parents=True, exist_ok=True)
    names = {path.name for place in (*SYSTEM_PROGRAMS, Path("/usr/sbin")) if place.is_dir() for path in place.iterdir()}
    there = {"uname", "arch", "dpkg", "dpkg-architecture", "rpm", "getconf", "lscpu"}
    made: dict[str, bytes] = {name: recorder(name) for name in names | set(_OTHERS)}
    made |= {name: fetcher(name) for name in FETCHERS} | {name: quiet(name) for name in _WRITES}
    made |= dict.fromkeys(_AS_ANOTHER, as_another()) | {
        "id": b"#!/bin/sh\ncase $1 in -u|-g) echo 0 ;; *) echo root ;; esac\n"
    }
    made["whoami"] = b"#!/bin/sh\necho root\n"
    for name, data in made.items():
        if name in there or (name in _REAL and name in names):
            continue
        (own / name).write_bytes(data)
        (own / name).chmod(0o755)
    for name in _REAL:
        if name in names and not (own / name).is_symlink():
            (own / name).symlink_to(f"/usr/bin/{name}")


def _walk(site: Site, script: str) -> Walk:
    state = site.place / "state"
    trace, requests = state / "steps", state / "requests"
    for path in (trace, requests):
        path.unlink(missing_ok=True)
    own = site.place / "shims"
    env = {
        "PATH": f"{own}/quiet:{own}/bin",
        "XC_REQUESTS": str(requests),
        "PS4": "x\x1f${BASH_SOURCE}\x1f${LINENO}\x1f",
        "BASH_XTRACEFD": "9",
    }
    name = script.rpartition("/")[2]
    words = ["/bin/sh", "-c", f'exec 9>"$1"; exec {BASH} -x "$2"', "sh", str(trace), f"./{name}"]
    step = site.step(words, within=script.rpartition("/")[0], env=env, seconds=SCRIPT_S)
    if step.lost:
        return Walk(-1, lost=step.lost)
    steps = []
    for line in _text(trace).splitlines():
        found = _STEP.match(line)
        if found and found["file"].rpartition("/")[2] == name:
            steps.append((int(found["line"]), found["words"]))
    asked = any(c.get("t") == "uname" for c in step.calls)
    return Walk(step.code, tuple(steps), asked, tuple(_text(requests).splitlines()))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_TRACE).decode(errors="replace")
    except OSError:
        return ""


def _compared(
    script: str, base: Walk, other: Walk, platform: Platform, architectures: Mapping[Arch, Architecture]
) -> Iterator[Finding]:
    """What a script does on the platform and not on x86-64."""
    machine = platform.architecture.uname
    if other.code != 0 and other.asked and platform.arch is not Arch.AMD64:
        line, words = other.steps[-1] if other.steps else (0, "")
        passed = {at for at, _words in base.steps}
        says = words.split()[:1] in (["exit"], ["return"], ["die"])
        if base.code == 0 or (says and line not in passed and base.code != other.code):
            certain = base.code == 0 and says and line not in passed
            said = next((w for _at, w in reversed(other.steps[:-1]) if w.split()[:1] in (["echo"], ["printf"])), words)
            params = {"machine": machine, "code": str(other.code), "said": said[:200]}
            how = Certainty.CERTAIN if certain else Certainty.GUARDED
            yield Finding("XC-ADV-045", how, f"{script}:{line}" if line else script, platform.id, params)
    told: set[str] = set()
    for request in other.requests:
        if request.split(" ")[0] not in FETCHERS:
            continue
        for url in re.findall(r"(?:https?|ftp)://\S+", request):
            named = architecture_named(url, architectures)
            if named is None or named == platform.arch or url in told:
                continue
            told.add(url)
            at = next((n for n, words in other.steps if url in words), 0)
            params = {"machine": machine, "url": url[:200], "named": named}
            sure = request in base.requests and at and (other.asked or _INSTALLS.search(script))
            how = Certainty.CERTAIN if sure else Certainty.GUARDED
            yield Finding("XC-ADV-046", how, f"{script}:{at}" if at else script, platform.id, params)
