"""The house, its texts: every one that a user reads is a message of the catalogues, and every message has its Chinese."""

from __future__ import annotations

import ast
import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import pytest_xinchuang
from tests import texts

PACKAGE = Path(pytest_xinchuang.__file__).parent
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}

SCHEMA = "a JSON Schema describes itself in English"
GENERATED = "generated C, Go or TypeScript, whose language is English"
ID = "an id, written into JSON or a journal"
LOG = "a line of a log"

AS_A_TOOL = "the words of a build tool, in whose place it stands"

OF_CLANG = "the words of clang, to be recognised"
OF_CARGO = "the words of cargo and rustdoc"
OF_PYTHON = "the words of Python, in whose place a probe stands"

ALLOWED: dict[str, str] = {
    "advise/builds/stand_in.py:copier": AS_A_TOOL,
    "advise/builds/stand_in_foreign.py:foreign": AS_A_TOOL,
    "advise/builds/stand_in_foreign.py:refused_words": AS_A_TOOL,
    "advise/c/machine.py": "names of instructions",
    "_python.py": "in both languages; a Python that is too old can read no catalogue",
    "sandbox/wall/calls.py": "names of system calls",
    "sandbox/situation.py": "ids of the supervisor's messages; commands",
    "sandbox/backends/system.py:SystemSandbox._come_up": LOG,
    "sandbox/backends/system.py:SystemSandbox._make": LOG,
    "sandbox/trial.py": "ids of the supervisor's messages",
    "core/installing.py:install": "a command",
    "cli/completion.py:add_commands": "a line for a shell",
    "advise/rust/cargo.py": "a script of a shell",
    "commands/wording.py": "what argparse says, to be recognised",
    "core/events.py:journal_schema": SCHEMA,
    "core/platform/cpus.py:may_inherit": SCHEMA,
    "core/validation.py": "what pydantic says of JSON, to be recognised",
    "gotest/result.py:TestVerdict": ID,
    "toolchain/flags/features.py": "names that compilers have for extensions",
    "toolchain/flags/linking.py": "words of a linker",
    "toolchain/flags/sources.py": "names of programs",
    "toolchain/flags/words.py": "names of programs",
    "packages/mru/counterfactuals.py": "an os-release",
    "packages/sdk_ast/c/clients.py": GENERATED,
    "packages/sdk_ast/cpp/clients.py": GENERATED,
    "packages/sdk_ast/c/batches.py": OF_CLANG,
    "packages/sdk_ast/c/headers.py": OF_CLANG,
    "packages/sdk_ast/typescript/clients.py": GENERATED,
    "packages/sdk_ast/rust/clients.py": GENERATED,
    "packages/sdk_ast/rust/crates.py": OF_CARGO,
    "packages/sdk_ast/rust/reader.py": OF_CARGO,
    "packages/sdk_ast/rust/tool.py": "a command",
    "packages/sdk_ast/python/judge.py": OF_PYTHON,
    "packages/sdk_ast/python/probe.py": OF_PYTHON,
    "packages/sdk_ast/manifest.py": SCHEMA,
    "packages/sdk_ast/python/syntax.py": "a kind of parameter, as inspect has it",
    "packages/sdk_ast/words.py": "a kind of parameter, as inspect has it",
    "packages/sdk_ast/rules.py": "Python's code",
    "packages/sm_crypto/commands.py": "names of packages",
    "packages/sm_crypto/manifest.py": SCHEMA,
    "packages/sm_crypto/properties.py:Properties._zero_stream": ID,
    "packages/sm_crypto/reference_harness.py:ReferenceHarness.handle": "a harness's answer: its protocol is English",
    "packages/sm_crypto/reference_harness.py:ReferenceHarness.opened": "a harness's answer: its protocol is English",
    "packages/sm_crypto/report.py": "docs/sm-defects.md, which has no Chinese form",
    "packages/sm_crypto/tls/rfc8998.py:_Keys.__init__": "a label of the key schedule, RFC 8446 7.1",
    "packages/supply_chain/commands.py:_check": ID,
    "packages/supply_chain/commands.py:_go": ID,
    "packages/supply_chain/manifest.py": SCHEMA,
    "packages/supply_chain/report.py": ID,
    "packages/syscall_bridge/bridge_commands.py": "templates of a manifest and of C, and a command",
    "packages/syscall_bridge/generate.py": GENERATED,
    "packages/syscall_bridge/manifest.py": SCHEMA,
    "sandbox/circumstances.py:Circumstances.name": ID,
    "sandbox/strace.py": "what strace prints, to be recognised",
}
"""``file`` or ``file:function`` -> why English may stand there outside of messages; one that is no longer needed has to go."""

BEHIND = "a library's own words, behind a sentence of ours"
THEIRS = "an error of somebody else's package, with its type"
PROBES = ("Tried.load", "Tried.find", "signature_of", "call", "tried")
"""Functions that tell what Python says."""
UNTOLD: dict[str, str] = {
    **{f"packages/sdk_ast/python/probe.py:{name}": OF_PYTHON for name in PROBES},
    "packages/sdk_ast/rust/crates.py:_metadata": BEHIND,
    "packages/sdk_ast/rust/reader.py:extract_rust": "a command",
    "packages/sdk_ast/rust/reader.py:_read": BEHIND,
    "packages/sdk_ast/sql/databases.py:SqliteSession._answer": BEHIND,
    "cli/entry.py:commands_of": THEIRS,
    "core/installing.py:install": "a command",
    "core/optional.py:optional": "the name of a module",
    "loading/inside/imports.py:imported": "it runs where nothing of the package can be imported",
    "messages/message.py:told": BEHIND,
    "messages/system.py:system_error": BEHIND,
    "sandbox/situation.py:_memory": "a command",
    "packages/registry.py:_load": THEIRS,
    "packages/sm_crypto/signed.py:read_signed": BEHIND,
    "packages/sm_crypto/reference_harness.py:ReferenceHarness.handle": "a harness's answer: its protocol is English",
    "packages/sm_crypto/reference_harness.py:ReferenceHarness.op_sm2_certificate_verify": "a harness's answer",
    "packages/sm_crypto/tls/stock.py:why": BEHIND,
    "provision/archive.py:_why": BEHIND,
    "report/parts.py:_ask": THEIRS,
    "sandbox/backends/docker_images.py:said": BEHIND,
    "sandbox/backends/supervisor.py:in_child": "it runs where nothing of the package can be imported",
}
"""``file:function`` -> why an error may be a string there; whoever else tells one does it by ``told`` or ``system_error``."""


@pytest.mark.tools
def test_every_message_is_translated() -> None:
    script = PACKAGE.parent / "scripts" / "messages"
    done = subprocess.run([sys.executable, script, "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _room(place: Path, source: str, translations: str) -> Path:
    """A checkout of one room, with the script that keeps catalogues."""
    room = place / "pytest_xinchuang" / "room"
    (room / "locale").mkdir(parents=True)
    (room / "__init__.py").write_text("")
    (room / "one.py").write_text('_("a file")\n')
    (place / "scripts").mkdir()
    script = Path(shutil.copy(PACKAGE.parent / "scripts" / "messages", place / "scripts"))
    (place / "fill.json").write_text('{"a file": "文件"}')
    subprocess.run([sys.executable, script, "fill", place / "fill.json"], capture_output=True, check=True)
    (room / "one.py").write_text(source)
    catalogue = room / "locale" / "zh.po"
    catalogue.write_text(catalogue.read_text() + translations)
    return script


@pytest.mark.tools
@pytest.mark.parametrize(
    ("source", "translations", "said"),
    [
        ('_("a file")\n_("a new one")\n', "", "not translated: 'a new one'"),
        ('n_("{n} file", "{n} files", 2)\n', "", "not translated: '{n} file'"),
        ("", "", "stale: zh.po"),
        ('_("a file")\n', '\nmsgid "gone"\nmsgstr "没有"\n', "is not what the sources say"),
        ('_("a file")\n', "", ""),
    ],
    ids=["untranslated", "untranslated plural", "all stale", "one stale", "right"],
)
def test_a_planted_fault_of_the_catalogues_is_seen(tmp_path: Path, source: str, translations: str, said: str) -> None:
    script = _room(tmp_path, source, translations)
    done = subprocess.run([sys.executable, script, "check"], capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stdout) == (int(bool(said)), True), done.stdout + done.stderr


def test_no_message_is_hidden_from_the_extraction() -> None:
    """What stands in a call within a message's parameters is not found, and would stay English: it gets a name before."""
    known: set[str] = set()
    for catalogue in PACKAGE.rglob("zh.po"):
        for message in read_po(io.BytesIO(catalogue.read_bytes())):
            known |= {message.id} if isinstance(message.id, str) else set(message.id)
    hidden = [
        (path.name, node.lineno, node.args[0].value)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("_", "n_", "N_")
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        and node.args[0].value not in known
    ]
    assert hidden == []


@pytest.mark.tools
def test_a_room_that_is_not_there_is_told(tmp_path: Path) -> None:
    script = _room(tmp_path, "", "")
    done = subprocess.run([sys.executable, script, "update", "rom"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "no room is called rom; there are room\n")


@pytest.mark.parametrize("name", FILES)
def test_messages_have_literal_templates_and_are_not_put_together(name: str) -> None:
    wrong = [f"{name}:{place.line}: {place.text}" for place in texts.wrong_messages(FILES[name].read_text())]
    assert not wrong, "\n".join(wrong)


def test_no_english_stands_outside_of_messages() -> None:
    wrong: list[str] = []
    needed: set[str] = set()
    for name, path in FILES.items():
        for place in texts.english(path.read_text()):
            keys = {name, f"{name}:{place.function}"} & ALLOWED.keys()
            needed |= keys
            wrong += (
                []
                if keys
                else [f"{name}:{place.line}: {place.text!r} is no message (in {place.function or 'the module'})"]
            )
    assert not wrong, "\n".join(wrong)
    assert sorted(ALLOWED.keys() - needed) == [], "no longer needed"


def test_no_error_or_message_loses_its_language() -> None:
    found = {
        f"{name}:{place.function}": f"{name}:{place.line}: {place.text}"
        for name, path in FILES.items()
        for place in texts.untold(path.read_text())
    }
    assert not [line for key, line in found.items() if key not in UNTOLD], "use told(), system_error() or a message"
    assert not UNTOLD.keys() - found.keys(), "no longer needed"


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("try: f()\nexcept OSError as e: raise XcError(verbatim(str(e)))", True),
        ("try: f()\nexcept OSError as e: detail = f'x: {e}'", True),
        ("def f(error: OSError): return verbatim(str(error))", True),
        ("raise CannotRead(str(done.told()))", True),
        ("verbatim(f'exit code {n}')", True),
        ("verbatim(f'{tag} or older')", True),
        ("try: f()\nexcept OSError as e: raise XcError(_('{f}: {why}', f=f, why=e))", False),
        ("try: f()\nexcept OSError as e: LOGGER.info(f'{e}')", False),
        ("def f(error: OSError): return told(error)", False),
        ("verbatim(f'xc kernel import {name} FILE')", False),
        ("verbatim(f'{path}:{line}: {key}')", False),
        ("verbatim(f'~ {name} {old} -> {new}')", False),
    ],
)
def test_what_loses_its_language_is_seen(source: str, seen: bool) -> None:
    assert bool(list(texts.untold(source))) is seen


@pytest.mark.parametrize(
    "source",
    [
        "_(text)",
        '_(f"{name} is missing")',
        '_("a " + name)',
        'N_("a %s" % name)',
        'n_("a file", plural, n)',
        'n_("a file")',
        '_("a file") + name',
        'name + verbatim("a")',
        '_("a {} file") % name',
        '_("a {} file").format(name)',
        'text += _("a file")',
        "f\"{_('a file')}: {name}\"",
        "f\"{n_('{n} file', '{n} files', 3).render(language)}: {name}\"",
        '", ".join([_("a"), _("b")])',
        '", ".join(_("{a}", a=a) for a in every)',
    ],
)
def test_a_message_that_is_put_together_is_seen(source: str) -> None:
    assert list(texts.wrong_messages(source))


@pytest.mark.parametrize(
    "source",
    [
        '_("a " "file")',
        '_("a {name}", name=name)',
        'n_("{n} file", "{n} files", n)',
        'joined([_("a"), _("b")])',
        'f"{message.render(language)}\\n"',
        '", ".join(_("a").render(language) for a in every)',
        "total + 1",
    ],
)
def test_a_message_that_is_whole_is_no_fault(source: str) -> None:
    assert not list(texts.wrong_messages(source))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('print("the file is gone")', "the file is gone"),
        ('print(f"{name} has no file of {kind}")', "{} has no file of {}"),
        ('_("{why}", why="nobody knows it")', "nobody knows it"),
        ('_("{why}", why=known or f"nothing of {name} is known")', "nothing of {} is known"),
        ('raise XcError(verbatim("the file is gone"))', "the file is gone"),
        ('WORDS = {"a": "the words of it"}', "the words of it"),
        ('log = catalogue.info("the file is gone")', "the file is gone"),
        ('@model_validator(mode="after")\ndef f(): raise ValueError("it has no name")', "it has no name"),
        ('def f(text="all that is"): pass', "all that is"),
    ],
)
def test_english_that_is_no_message_is_seen(source: str, text: str) -> None:
    assert [place.text for place in texts.english(source)] == [text]


@pytest.mark.parametrize(
    "source",
    [
        '"""The words of a docstring."""',
        'class A:\n    a = 1\n    """The words of an attribute."""',
        '_("the file is gone")',
        'n_("{n} file is gone", "{n} files are gone", n)',
        'N_("the file is gone")',
        'log.info("the file is gone")',
        're.search("the file is gone", text)',
        'if "the file is gone" in text: pass',
        'text.startswith("the file is gone")',
        'raise ValueError("the file is gone")',
        'assert a, "the file is gone"',
        'Field(description="the words of a schema")',
        'verbatim("xc platforms show kunpeng")',
        'verbatim("go mod tidy && go build")',
        'verbatim("/a/path -- and -more")',
        'print("two words")',
        'match text:\n    case "the file is gone": pass',
    ],
)
def test_what_no_user_reads_is_no_fault(source: str) -> None:
    assert not list(texts.english(source))


def test_the_function_of_english_is_known() -> None:
    source = 'class A:\n    def f(self):\n        return "the file is gone"\n'
    assert [(place.function, place.line) for place in texts.english(source)] == [("A.f", 3)]
