"""Says in one line that this Python is too old, and how to get another. Any Python 3 since 3.6 can read this file.

Run by its path, it ends with 2 where the Python is too old; scripts/setup.sh asks so before anything is installed.
"""

import os
import sys
from collections.abc import Mapping

LEAST = (3, 11)

_INSTALL = {
    # Distributions whose own packages have one beside their python3: (ID, beginning of VERSION_ID) -> what root runs.
    ("ubuntu", "22.04"): "apt-get install python3.11 python3.11-venv",
    ("rhel", "8"): "dnf install python3.11",
    ("rhel", "9"): "dnf install python3.11",
    ("centos", "9"): "dnf install python3.11",
    ("rocky", "8"): "dnf install python3.11",
    ("rocky", "9"): "dnf install python3.11",
    ("almalinux", "8"): "dnf install python3.11",
    ("almalinux", "9"): "dnf install python3.11",
    ("opensuse-leap", "15"): "zypper install python311",
}
_ANYWHERE = "uv venv --python 3.12 .venv", "conda create -n xc python=3.12"

_TEXTS = {
    "en": (
        "pytest-xinchuang needs Python {least} or later, and {program} is {found}. To get one: {how}",
        "{0}, or {1}",
    ),
    "zh": ("pytest-xinchuang 需要 Python {least} 或更新版本，而 {program} 是 {found}。获取方法：{how}", "{0}，或 {1}"),
}


def _system(path: str) -> "dict[str, str]":
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            pairs = [line.strip().partition("=")[::2] for line in file]
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: value.strip("\"'") for name, value in pairs}


def _language(environ: "Mapping[str, str]") -> str:
    named = [environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)]
    return "zh" if named and named[0].lower().startswith("zh") else "en"


def refusal(
    version: "tuple[object, ...]", program: str, environ: "Mapping[str, str]", os_release: str = "/etc/os-release"
) -> str:
    """The line about a Python of this version; "" for one that is new enough."""
    if version[:2] >= LEAST:
        return ""
    system = _system(os_release)
    place = system.get("ID", ""), system.get("VERSION_ID", "")
    own = [how for (name, begin), how in _INSTALL.items() if how and place[0] == name and place[1].startswith(begin)]
    said, either = _TEXTS[_language(environ)]
    how = "sudo " + own[0] if own else either.format(*_ANYWHERE)
    return said.format(
        least=".".join(map(str, LEAST)), found=".".join(map(str, version[:3])), program=program or "python3", how=how
    )


def require() -> None:
    """End the process where its Python is too old.

    Raises:
        SystemExit: it is; with 2.
    """
    line = refusal(sys.version_info, sys.executable, os.environ)
    if line:
        try:
            line.encode(getattr(sys.stderr, "encoding", None) or "ascii")
        except UnicodeEncodeError:
            line = refusal(sys.version_info, sys.executable, {})
        sys.stderr.write(line + "\n")
        raise SystemExit(2)


if __name__ == "__main__":
    require()
