# shellcheck shell=sh
# Sourced by the other scripts: a virtual environment in .venv with the project and its tool chains. Needs git and python3.
# EXTRAS names the optional dependencies to install. Works as root and as an ordinary user.
cd "$(dirname "$0")/.." || exit 2

say() { printf 'xc: %s\n' "$*" >&2; }

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# install_packages PACKAGE...: Debian packages, where we may.
install_packages() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# Before anything is installed: a Python that is new enough, or one line on where to get it.
find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$python" >/dev/null && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then return; fi
    done
    if command -v python3 >/dev/null; then
        python3 pytest_xinchuang/_python.py || exit 2
    fi
    case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in
        zh*) say "没有 python3：请先安装 Python 3.11 或更新版本" ;;
        *) say "there is no python3: install Python 3.11 or later" ;;
    esac
    exit 2
}

make_venv() {
    [ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1 && return 0
    rm -rf .venv
    if may_install && ! "$python" -c 'import ensurepip' 2>/dev/null; then install_packages python3-venv; fi
    say "making the virtual environment .venv"
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv .venv
        return
    fi
    # Without python3-venv and without root rights: pip's own wheel, out of Debian's package of it.
    scratch=$(mktemp -d)
    (cd "$scratch" && apt-get download -qq python3-pip-whl >/dev/null && dpkg-deb -x python3-pip-whl_*.deb .)
    "$python" -m venv --without-pip .venv
    PYTHONPATH=$(ls "$scratch"/usr/share/python-wheels/pip-*.whl) .venv/bin/python -m pip install -q --upgrade pip
    rm -rf "$scratch"
}

find_python
make_venv
say "installing the project and its tool chains (some 200 MB the first time)"
.venv/bin/python -m pip install -q --no-compile --disable-pip-version-check -e ".[$EXTRAS]"
