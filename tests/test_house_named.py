"""The house, its texts: the commands, options, files and keys of the manifest that a text names are there."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from babel.messages.pofile import read_po

import pytest_xinchuang
from pytest_xinchuang.core import resources
from tests import named

PACKAGE = Path(pytest_xinchuang.__file__).parent
CHECKOUT = PACKAGE.parent
DATA = [resources.platforms_file(), *sorted(resources.conformance_dir().rglob("*.yaml"))]
PAGES = [
    *(CHECKOUT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md")),
    *sorted((CHECKOUT / "docs").glob("*.md")),
    *sorted(resources.conformance_dir().rglob("*.md")),
]

NO_COMMANDS = {
    "xc command": "CONTRIBUTING.md speaks of the command itself",
    "xc acme": "a package of somebody else, as docs/packages.md has it",
    "xc agent": "what the agent puts in front of its lines",
}
FOREIGN = {
    "--collect-only": "pytest",
    "--page-size": "patchelf",
    "--nmagic": "ld",
    "--android-shlib": "upx",
    "--remove-needed": "patchelf",
    "--replace-needed": "patchelf",
    "--pack-dyn-relocs": "lld",
    "--remove-section": "objcopy",
    "--snapshot-update": "syrupy",
    "--deselect": "pytest",
    "--no-binary": "pip",
    "--init": "git",
    "--system-site-packages": "venv",
    "--ignore": "pytest",
    "--lf": "pytest",
    "--release": "javac",
    "--manifest-path": "cargo",
    "--reruns": "pytest-rerunfailures",
    "--self-contained": "dotnet publish",
    "--agree": "python -m fixtures.generate",
    "--libraries": "python -m fixtures.generate",
    "--number": "scripts/soak",
    "--list": "scripts/hosts",
    "--keep": "scripts/hosts",
    "--undecided": "scripts/corpus",
    "--fetch": "scripts/corpus",
    "--prefix": "configure",
    "--build": "cmake",
    "--install": "cmake",
    "--no-deps": "pip",
    "--abbrev": "git describe",
    "--child": "a program of a bridge, docs/bridge.md",
    "--dist": "pytest-xdist",
    "--dynamic-linker": "ld",
    "--read-only": "docker run",
    "--rm": "docker run",
    "--set-interpreter": "patchelf",
    "--target": "docker build",
    "--tmpfs": "docker run",
    "--with-lg-page": "configure of jemalloc",
    "--xc-acme-greeting": "a package of somebody else, as docs/packages.md has it",
}
"""Options of programs that are not ours; one that is no longer needed has to go."""


REGISTRIES = (
    *("proxy golang", "sum golang", "goproxy cn", "goproxy io"),
    *("registry npmjs", "npmjs com", "registry yarnpkg", "npmmirror com"),
    *("pypi org", "pythonhosted org", "anaconda org"),
    *("crates io", "repo maven", "repo1 maven", "plugins gradle org", "dl google com", "maven google com"),
    *("rubygems org", "packagist org", "nuget org", "conan io", "vcpkg io"),
    *("hub docker com", "docker io", "ghcr io", "quay io", "gcr io"),
)
"""Hosts of public registries of packages, by the words of their names: this file would name them itself otherwise."""
_HOST = re.compile("|".join(rf"(?<![\w-]){r'[.]'.join(name.split())}(?![\w-])" for name in REGISTRIES))
NO_HOSTS = {
    "pytest_xinchuang/tools/host.py": "Debian's name of Docker's package",
    "scripts/test": "Debian's name of Docker's package",
    "tests/tools/test_host.py": "Debian's name of Docker's package",
}
"""Files in which such a name is no host's, with the reason; one that is no longer needed has to go."""


@pytest.fixture(scope="module")
def tree() -> named.Tree:
    return named.Tree()


@pytest.fixture(scope="module")
def texts() -> list[tuple[str, str]]:
    """(place, text) of every text of data files and pages, and of the translations."""
    return [*_of_data(), *_of_pages(), *_of_translations()]


def _of_data() -> Iterator[tuple[str, str]]:
    for path in DATA:
        for at, text in named.leaves(yaml.load(path.read_text(), yaml.CSafeLoader)):
            yield f"{path.relative_to(CHECKOUT)}:{at}", text


def _of_pages() -> Iterator[tuple[str, str]]:
    for path in PAGES:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield f"{path.relative_to(CHECKOUT)}:{number}", line


def _of_translations() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("zh.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh"):
                if message.id:
                    texts = [message.string] if isinstance(message.string, str) else message.string or ()
                    yield from ((f"{path.relative_to(CHECKOUT)}:{message.lineno}", text) for text in texts)


def _of_sources() -> Iterator[tuple[str, str]]:
    """The strings of our sources, docstrings among them."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.relative_to(CHECKOUT)}:{node.lineno}", node.value


def test_every_command_that_is_named_is_there_and_has_the_options(
    tree: named.Tree, texts: list[tuple[str, str]]
) -> None:
    wrong = {f"{at}: {each}": each for at, text in [*texts, *_of_sources()] for each in tree.wrong_commands(text)}
    assert not [line for line, each in wrong.items() if each not in NO_COMMANDS]
    assert not NO_COMMANDS.keys() - wrong.values(), "no longer needed"


def test_every_option_that_is_named_is_there(tree: named.Tree, texts: list[tuple[str, str]]) -> None:
    found = [(at, option) for at, text in texts for option in named.options_in(named.without_commands(text))]
    assert not [f"{at}: {option}" for at, option in found if option not in tree.options | FOREIGN.keys()]
    assert not FOREIGN.keys() - {option for _at, option in found}, "no longer needed"


def test_every_option_of_pytest_that_a_source_names_is_there(tree: named.Tree) -> None:
    found = [(at, option) for at, text in _of_sources() for option in named.options_in(text)]
    assert not [f"{at}: {o}" for at, o in found if o.startswith("--xc-") and o not in tree.of_pytest]


@pytest.mark.tools
def test_every_file_that_is_named_is_there(texts: list[tuple[str, str]]) -> None:
    files = _checked_in()
    assert not [f"{at}: {each}" for at, text in texts for each in named.files_in(text) if not files.has(each)]


def test_every_key_of_the_manifest_that_is_named_is_there(texts: list[tuple[str, str]]) -> None:
    keys = _keys()
    assert not [f"{at}: {each}" for at, text in texts for each in named.section_keys(text, keys)]
    said = [(at, text) for at, text in texts if Path(at.partition(":")[0]).name in ("requirements.yaml", "zh.po")]
    assert not [f"{at}: {each}" for at, text in said for each in named.loose_keys(text, keys)]


def _listed() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no checkout")
    return [name for name in listed.stdout.splitlines() if (CHECKOUT / name).is_file()]


def _checked_in() -> named.Files:
    return named.Files(_listed(), ("", "pytest_xinchuang/", "pytest_xinchuang/sandbox/"))


@pytest.mark.tools
def test_no_file_names_a_host_of_a_public_registry() -> None:
    """What a tool asks by default it is asked for (tools/defaults.py): who builds elsewhere asks a mirror."""
    found = {name: host for name in _listed() if (host := _registry_in((CHECKOUT / name).read_bytes()))}
    assert not {name: host for name, host in found.items() if name not in NO_HOSTS}
    assert not NO_HOSTS.keys() - found.keys(), "no longer needed"


def _registry_in(data: bytes) -> str:
    match = _HOST.search(data.decode("utf-8", "ignore").lower())
    return match[0] if match else ""


@pytest.mark.parametrize("words", REGISTRIES)
def test_a_host_of_a_registry_is_seen(words: str) -> None:
    host = words.replace(" ", ".")
    assert _registry_in(f"see https://{host}/x".encode()) == host
    assert _registry_in(f"{host.upper()}/simple".encode()) == host
    assert not _registry_in(f"x{host}x, {words}, {words.replace(' ', '-')}".encode())


def _keys() -> dict[str, frozenset[str]]:
    return named.keys_of(json.loads((PACKAGE / "schemas" / "subject.json").read_text()))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("xc syscalls gen ARCH --lang LANGUAGE", ["xc syscalls gen --lang"]),
        ("xc syscalls gen 架构 --lang 语言", ["xc syscalls gen --lang"]),
        ("see `xc syscall table`", ["xc syscall"]),
        ("先 xc provisoin，再运行", ["xc provisoin"]),
        ("eval $(xc provision --sistem)", ["xc provision --sistem"]),
        ("xc syscalls table|dif|gen loong64", ["xc syscalls table|dif|gen"]),
        ("xc supply-chain DIR --clok X && xc sm walk", ["xc supply-chain --clok", "xc sm walk"]),
        ("xc syscalls gen ARCH --kind LANGUAGE", []),
        ("xc syscalls table|diff|gen loong64", []),
        ("xc sm run --language zh -- ./harness --wrong", []),
        ("xc supply-chain DIR --clock X; xc sm run", []),
        ("the `xc` commands, and what xc's users see (xc report FILE), once", []),
        ("xc provision && docker run --rm x", []),
    ],
)
def test_a_command_that_is_not_there_is_seen(tree: named.Tree, text: str, wrong: list[str]) -> None:
    assert list(tree.wrong_commands(text)) == wrong


def test_an_option_beside_a_command_is_seen(tree: named.Tree) -> None:
    text = "以 --xc-alow-list 给出；xc report FILE --language zh, by --clok"
    found = named.options_in(named.without_commands(text))
    assert found == ["--xc-alow-list", "--clok"] and not tree.options & set(found)


@pytest.mark.tools
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("conformance/api_rules.yaml; Semantic Versioning", ["conformance/api_rules.yaml"]),
        ("见 docs/sm_crypto.md", ["docs/sm_crypto.md"]),
        ("a line in `sandbox/backend/`", ["sandbox/backend/"]),
        ("`conformance/<package>/requirement.yaml`", ["conformance/<package>/requirement.yaml"]),
        ("`tests/test_house_nmed.py` looks for it", ["tests/test_house_nmed.py"]),
        ("`run/actives.py` and `actives.py`", ["run/actives.py"]),
        ("conformance/sdk_ast/rules/; Semantic Versioning", []),
        ("`conformance/<package>/requirements.yaml`, `inspect/rules/`, docs/api.md", []),
        ("one's own bom.json, a/b.py, elf/dl-tls.c and https://x.org/docs/none.md", []),
    ],
)
def test_a_file_that_is_not_there_is_seen(text: str, wrong: list[str]) -> None:
    files = _checked_in()
    assert [each for each in named.files_in(text) if not files.has(each)] == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Name supply_chain.allow_list in the manifest", ["supply_chain.allow_list"]),
        ("在清单中给出 supply_chain.advisories，并升级", ["supply_chain.advisories"]),
        ("name mirror and mirror_key in the manifest", ["mirror_key"]),
        ("the subject's manifest, limits_s", ["limits_s"]),
        ("the subject's manifest, limit_s; supply_chain.mirror of it", []),
        ("supply_chain.py reads allow_list", []),
    ],
)
def test_a_key_that_is_not_there_is_seen(text: str, wrong: list[str]) -> None:
    keys = _keys()
    assert [*named.section_keys(text, keys), *named.loose_keys(text, keys)] == wrong
