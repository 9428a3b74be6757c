"""Programs that stand before a system's own, and write down what a script asks of them: nothing is fetched or installed."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_xinchuang.core.platform import Platform

REQUESTS = "requests.txt"
"""What the programs write down, in the unit's directory."""

FETCHERS = ("curl", "wget")
MANAGERS: Mapping[str, tuple[str, ...]] = {
    "rpm": ("dnf", "yum", "rpm"),
    "deb": ("apt-get", "apt", "dpkg"),
}

_FETCH = """#!/bin/sh
printf '%s\\n' "{name} $*" >> "$XC_REQUESTS"
out= url=
while [ $# -gt 0 ]; do
    case $1 in
        -o|--output|--output-document) out=$2; shift ;;
        -O) [ {name} = wget ] && {{ out=$2; shift; }} || out=remote ;;
        -o*) out=${{1#-o}} ;;
        http*|ftp*) url=$1 ;;
    esac
    shift
done
[ "$out" = remote ] && out=${{url##*/}}
[ {name} = wget ] && [ -z "$out" ] && out=${{url##*/}}
case $out in
    ''|-) printf '{{"tag_name": "v1.0.0"}}\\n' ;;
    *) printf 'a stand-in for %s\\n' "$url" > "$out" ;;
esac
"""

_MANAGE = """#!/bin/sh
printf '%s\\n' "{name} $*" >> "$XC_REQUESTS"
"""


_QUIET = """#!/bin/sh
/usr/bin/{name} "$@" 2>/dev/null
exit 0
"""

_AS = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
        -u|-g|-C|-h|-p|-U|-D|-T) shift 2 || exit 0 ;;
        -*|*=*) shift ;;
        *) break ;;
    esac
done
[ $# -eq 0 ] || exec "$@"
"""


def fetcher(name: str) -> bytes:
    """A program that fetches: what it is asked for is written down, and a file stands where it shall be."""
    return _FETCH.format(name=name).encode()


def recorder(name: str) -> bytes:
    """A program that does nothing: that it is called is written down."""
    return _MANAGE.format(name=name).encode()


def quiet(name: str) -> bytes:
    """A program of the system's that may fail, as where a script writes beside what it may."""
    return _QUIET.format(name=name).encode()


def as_another() -> bytes:
    """sudo and the like: what they are to run is run."""
    return _AS.encode()


def shims(platform: Platform, place: str) -> dict[str, bytes]:
    """Path -> content of the programs that stand before the real ones: fetchers, and the package managers of the edition."""
    files = {f"{place}/shims/{name}": fetcher(name) for name in FETCHERS}
    edition = platform.system.packaging.value
    for name in MANAGERS.get(edition or "", ()):
        files[f"{place}/shims/{name}"] = recorder(name)
    return files


def uname_shim(machine: str) -> bytes:
    """A uname that answers another machine."""
    return f"""#!/bin/sh
case $1 in
    -m|-p|-i|--machine) echo {machine} ;;
    *) PATH=/usr/bin:/bin; uname "$@" ;;
esac
""".encode()
