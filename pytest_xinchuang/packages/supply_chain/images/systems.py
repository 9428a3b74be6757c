"""The packages of the system: of dpkg, RPM and apk, by their own databases.

Sources: deb-control(5) and dpkg's status file; GoogleContainerTools/distroless (status.d); apk-tools, apk(5), the installed
database; os-release(5); OSV schema 1.7, affected[].package (names of ecosystems).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pytest_xinchuang.messages import _, told
from pytest_xinchuang.packages.supply_chain.images import rpm_database
from pytest_xinchuang.packages.supply_chain.images.part import Inside, Part

Files = Mapping[str, bytes]

STATUS, STATUS_D, DPKG_LISTS = "var/lib/dpkg/status", "var/lib/dpkg/status.d/", "var/lib/dpkg/info/"
APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
OS_RELEASE = ("etc/os-release", "usr/lib/os-release")


def is_of_system(path: str) -> bool:
    """Whether a file is part of a database of packages, or names the system."""
    return (
        path in (STATUS, *APK, *OS_RELEASE)
        or path.startswith(STATUS_D)
        or (path.startswith(DPKG_LISTS) and path.endswith(".list"))
        or any(path == f"{place}/{name}" for place in rpm_database.PLACES for name in rpm_database.NAMES)
    )


def find(files: Files, inside: Inside) -> set[str]:
    """Add what the databases say to ``inside``; returns the files that packages own, as paths without a leading slash."""
    inside.system = os_release(files)
    ecosystem, distro = ecosystem_of(inside.system)
    owned: set[str] = set()
    _of_dpkg(files, inside, ecosystem, distro, owned)
    _of_rpm(files, inside, ecosystem, distro, owned)
    _of_apk(files, inside, ecosystem, distro, owned)
    # Packages name a file where it was before /bin, /lib and /sbin became links into /usr.
    return owned | {f"usr/{path}" for path in owned if path.startswith(("bin/", "sbin/", "lib"))}


def os_release(files: Files) -> dict[str, str]:
    """Name -> value (os-release(5): assignments of a shell, without its expansions)."""
    text = next((files[name] for name in OS_RELEASE if files.get(name)), b"").decode(errors="replace")
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            found[name] = value
    return found


def ecosystem_of(system: Mapping[str, str]) -> tuple[str, str]:
    """OSV's name of a system's ecosystem, and the ``distro`` of its package URLs; "" and "" for one without a name."""
    name, version = system.get("ID", ""), system.get("VERSION_ID", "")
    if not name:
        return "", ""
    distro = f"{name}-{version}" if version else name
    long_term = re.search(r"\bLTS(?:-SP\d+)?", system.get("VERSION", ""))
    first = version.split(".")[0]
    known = {
        "debian": f"Debian:{first}",
        "ubuntu": f"Ubuntu:{version}{':LTS' if long_term else ''}",
        "alpine": f"Alpine:v{'.'.join(version.split('.')[:2])}",
        "openEuler": f"openEuler:{version}{f'-{long_term[0]}' if long_term else ''}",
        "rocky": f"Rocky Linux:{first}",
        "almalinux": f"AlmaLinux:{first}",
        "wolfi": "Wolfi",
        "chainguard": "Chainguard",
        "mageia": f"Mageia:{version}",
        "opensuse-leap": f"openSUSE:Leap {version}",
        "opensuse-tumbleweed": "openSUSE:Tumbleweed",
    }.get(name)
    return known or f"{system.get('NAME') or name}:{version}".rstrip(":"), distro


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Paragraphs of fields (deb822(5)); a continued line keeps its line feed."""
    stanza: dict[str, str] = {}
    last = ""
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if stanza:
                yield stanza
            stanza, last = {}, ""
        elif line[0] in " \t":
            if last:
                stanza[last] += "\n" + line.strip()
        else:
            last, _colon, value = line.partition(":")
            stanza[last] = value.strip()


def _of_dpkg(files: Files, inside: Inside, ecosystem: str, distro: str, owned: set[str]) -> None:
    places = [STATUS, *sorted(n for n in files if n.startswith(STATUS_D) and not n.endswith(".md5sums"))]
    for place in places:
        if place not in files:
            continue
        for stanza in _stanzas(files[place].decode(errors="replace")):
            # Distroless keeps a package as it came: without a status.
            if "Package" not in stanza or not stanza.get("Status", "install ok installed").endswith(" installed"):
                continue
            if "Version" not in stanza:
                inside.doubts.append((place, _("{package} has no version", package=stanza["Package"])))
                continue
            source = re.fullmatch(r"(\S+)(?: \(([^)]+)\))?", stanza.get("Source") or stanza["Package"])
            part = Part(
                ecosystem,
                "deb",
                stanza["Package"],
                stanza["Version"],
                place,
                source=source[1] if source else "",
                source_version=(source[2] if source else "") or "",
                namespace=inside.system.get("ID", ""),
                qualifiers=_qualifiers(arch=stanza.get("Architecture", ""), distro=distro),
            )
            inside.parts.append(part)
    for name, content in files.items():
        if name.startswith(DPKG_LISTS):
            owned.update(line.lstrip("/") for line in content.decode(errors="replace").splitlines())


def _of_rpm(files: Files, inside: Inside, ecosystem: str, distro: str, owned: set[str]) -> None:
    for place in rpm_database.PLACES:
        here = {n: files[f"{place}/{n}"] for n in rpm_database.NAMES if f"{place}/{n}" in files}
        if not here:
            continue
        where = f"{place}/{next(n for n in rpm_database.NAMES if n in here)}"
        try:
            for package in rpm_database.packages(here):
                inside.parts.append(_rpm(package, where, ecosystem, distro, inside.system.get("ID", "")))
                owned.update(package.files)
        except rpm_database.BadDatabase as error:
            inside.doubts.append((where, told(error)))
        return


def _rpm(package: rpm_database.RpmPackage, where: str, ecosystem: str, distro: str, namespace: str) -> Part:
    tags = package.tags
    epoch = tags.get("epoch", "0")
    source = re.fullmatch(r"(.+)-([^-]+)-([^-]+)\.(?:src|nosrc)\.rpm", tags.get("sourcerpm", ""))
    version = f"{tags['version']}-{tags['release']}" if tags.get("release") else tags["version"]
    before = "" if epoch == "0" else f"{epoch}:"
    return Part(
        ecosystem,
        "rpm",
        tags["name"],
        before + version,
        where,
        source=source[1] if source else "",
        source_version=f"{before}{source[2]}-{source[3]}" if source else "",
        licence=tags.get("license", ""),
        namespace=namespace,
        qualifiers=_qualifiers(arch=tags.get("arch", ""), distro=distro),
    )


def _of_apk(files: Files, inside: Inside, ecosystem: str, distro: str, owned: set[str]) -> None:
    """Lines of a letter, a colon and a value; F: is a directory, R: a file in the last one."""
    for place in APK:
        if place not in files:
            continue
        for block in files[place].decode(errors="replace").split("\n\n"):
            lines = [line.partition(":")[::2] for line in block.splitlines()]
            said = {key: value for key, value in reversed(lines) if key not in ("F", "R")}
            directory = ""
            for key, value in lines:
                if key == "F":
                    directory = value
                elif key == "R":
                    owned.add(f"{directory}/{value}".lstrip("/"))
            if "P" not in said:
                continue
            if "V" not in said:
                inside.doubts.append((place, _("{package} has no version", package=said["P"])))
                continue
            part = Part(
                ecosystem,
                "apk",
                said["P"],
                said["V"],
                place,
                source=said.get("o", ""),
                licence=said.get("L", ""),
                namespace=inside.system.get("ID", "alpine"),
                qualifiers=_qualifiers(arch=said.get("A", ""), distro=distro),
            )
            inside.parts.append(part)


def _qualifiers(**given: str) -> dict[str, str]:
    return {name: value for name, value in given.items() if value}
