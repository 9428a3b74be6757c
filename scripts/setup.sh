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

make_venv() {
    [ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1 && return 0
    rm -rf .venv
    if may_install && ! python3 -c 'import ensurepip' 2>/dev/null; then install_packages python3-venv; fi
    say "making the virtual environment .venv"
    if python3 -c 'import ensurepip' 2>/dev/null; then
        python3 -m venv .venv
        return
    fi
    # Without python3-venv and without root rights: pip's own wheel, out of Debian's package of it.
    scratch=$(mktemp -d)
    (cd "$scratch" && apt-get download -qq python3-pip-whl >/dev/null && dpkg-deb -x python3-pip-whl_*.deb .)
    python3 -m venv --without-pip .venv
    PYTHONPATH=$(ls "$scratch"/usr/share/python-wheels/pip-*.whl) .venv/bin/python -m pip install -q --upgrade pip
    rm -rf "$scratch"
}

make_venv
say "installing the project and its tool chains (some 200 MB the first time)"
.venv/bin/python -m pip install -q --no-compile --disable-pip-version-check -e ".[$EXTRAS]"
