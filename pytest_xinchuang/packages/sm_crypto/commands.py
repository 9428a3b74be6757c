"""`xc sm`: vectors, runs against a harness, templates of harnesses, and what a TLS endpoint speaks."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_xinchuang.commands.common import EXIT_CLEAN, EXIT_FINDINGS, EXIT_INCOMPLETE, Command, Load
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, joined, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.packages.sm_crypto.client import SmClient

TEMPLATES = {
    "c": ("OpenSSL's libcrypto, 1.1.1 and later", "cc -O2 harness.c json.c -lcrypto -lpthread -o harness"),
    "go": ("github.com/emmansun/gmsm", "go mod tidy && CGO_ENABLED=0 go build -o harness ."),
    "go-tjfoc": ("github.com/tjfoc/gmsm", "go mod tidy && CGO_ENABLED=0 go build -o harness ."),
    "python": ("cryptography, gmssl and tongsuopy", "pip install cryptography gmssl tongsuopy"),
    "java": ("BouncyCastle", "mvn -q compile dependency:build-classpath -Dmdep.outputFile=cp.txt"),
    "node": ("sm-crypto", "npm install"),
}
"""Language -> the library that the template is for, and the command that makes it ready."""

STARTS = {
    "python": "python harness_cryptography.py",
    "java": 'java -cp "target/classes:$(cat cp.txt)" Harness',
    "node": "node harness.mjs",
}


def _help(options: argparse.Namespace) -> int:
    options.parser.print_help()
    return EXIT_CLEAN


def add_command(command: Command, load: Load) -> None:
    """Add ``xc sm``."""
    sm = command("sm", _help, "SM2, SM3 and SM4: vectors, harnesses, TLS")
    sm.set_defaults(parser=sm)
    actions = sm.add_subparsers(metavar="ACTION")

    vectors = actions.add_parser("vectors", help="list the vector files, or explain a vector")
    vectors.add_argument("id", nargs="?", help="a file (sm2_verify) or a vector (sm2_verify/117)")
    vectors.add_argument("--lang", choices=["en", "zh"], default="en")
    vectors.add_argument("--schema", action="store_true", help="print the JSON Schema of vector files")
    vectors.set_defaults(run=_vectors)

    run = actions.add_parser("run", help="run vectors against a harness, here or on a platform")
    run.add_argument("--tc", action="append", metavar="ID", help="only this file or vector; may be given again")
    run.add_argument("--vectors", metavar="DIR", help="vector files of Wycheproof's shape instead of the shipped ones")
    run.add_argument("--slow", action="store_true", help="the slow ones too (half a GiB through SM3)")
    run.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds for one request (default: 10)")
    run.add_argument("--json", metavar="FILE", help="write the results there")
    run.add_argument("--lang", choices=["en", "zh"], default="en")
    run.add_argument("--platform", metavar="ID", help="run the harness of --subject in this platform's sandbox")
    run.add_argument("--subject", metavar="PATH", help="with --platform: the manifest (default: the target's OpenSSL)")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="starts the harness on this host")
    run.set_defaults(run=lambda o: _run(o, load))

    tls = actions.add_parser("tls", help="what a TLS endpoint speaks: TLS 1.2 and 1.3, RFC 8998, TLCP")
    tls.add_argument("address", metavar="HOST:PORT")
    tls.add_argument("--ca", metavar="FILE", help="the roots to verify SM2 chains with (PEM or DER)")
    tls.add_argument(
        "--expect", default="", metavar="NAME[,NAME]", help="fail unless it speaks these: tlcp, rfc8998, tls1.2, tls1.3"
    )
    tls.add_argument("--only", default="", metavar="NAME[,NAME]", help="try these alone")
    tls.add_argument("--timeout", type=float, default=10.0, metavar="S")
    tls.add_argument("--json", action="store_true")
    tls.set_defaults(run=_tls)

    init = actions.add_parser("init", help="write a template of a harness")
    init.add_argument("--lang", choices=sorted(TEMPLATES), required=True)
    init.add_argument("directory", nargs="?", default="sm-harness")
    init.set_defaults(run=_init)


def _vectors(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.sm_crypto.defects import load_bank
    from pytest_xinchuang.packages.sm_crypto.engine import vectors_dir
    from pytest_xinchuang.packages.sm_crypto.report import explain, list_files
    from pytest_xinchuang.packages.sm_crypto.vectors import find, json_schema, load_directory

    if options.schema:
        print(json.dumps(json_schema(), indent=1, ensure_ascii=False))
        return EXIT_CLEAN
    loaded = load_directory(vectors_dir())
    if not options.id:
        print(list_files(loaded), end="")
        return EXIT_CLEAN
    bank = load_bank()
    print("\n".join(explain(v, bank, options.lang) for v in find(loaded, options.id)), end="")
    return EXIT_CLEAN


def _run(options: argparse.Namespace, load: Load) -> int:
    from pytest_xinchuang.packages.sm_crypto.defects import load_bank
    from pytest_xinchuang.packages.sm_crypto.engine import vectors_dir
    from pytest_xinchuang.packages.sm_crypto.judge import TYPES, VectorResult
    from pytest_xinchuang.packages.sm_crypto.report import as_dict, as_text
    from pytest_xinchuang.packages.sm_crypto.runner import run_vectors
    from pytest_xinchuang.packages.sm_crypto.vectors import find, load_directory

    loaded = load_directory(Path(options.vectors) if options.vectors else vectors_dir())
    if options.tc:
        chosen = [v for name in options.tc for v in find(loaded, name)]
    else:
        chosen = [v for one in loaded for v in one.vectors() if options.slow or not v.group.get("slow")]
    if not chosen:
        raise XcError(_("there is no vector to run"), mend=verbatim("xc sm vectors"))
    if unknown := sorted({v.group.type for v in chosen if v.group.type not in TYPES}):
        raise XcError(_("vectors of a type that this suite does not know: {names}", names=joined(unknown, _(", "))))
    with _client(options, load) as client:
        result = run_vectors(client, chosen)
        hello = client.hello
    where = f"--platform {options.platform}" if options.platform else f"-- {' '.join(_words(options))}"
    again = "xc sm run" + (f" --vectors {options.vectors}" if options.vectors else "")
    if options.subject:
        where += f" --subject {options.subject}"
    # The command comes last: what follows `--` is the harness's own.
    text = as_text(result, load_bank(), again, where, options.lang)
    print(f"{hello.name} {hello.version} ({hello.language})  {where}")
    print(text, end="")
    if options.json:
        data = as_dict(result, hello.model_dump(mode="json"))
        Path(options.json).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    count = result.count()
    if count[VectorResult.FAILED] or result.violations or result.crashes:
        return EXIT_FINDINGS
    decided = count[VectorResult.PASSED] + count[VectorResult.ACCEPTABLE]
    return EXIT_INCOMPLETE if count[VectorResult.UNDECIDED] or not decided else EXIT_CLEAN


def _words(options: argparse.Namespace) -> list[str]:
    return options.words[1:] if options.words[:1] == ["--"] else list(options.words)


@contextmanager
def _client(options: argparse.Namespace, load: Load) -> Iterator[SmClient]:
    words = _words(options)
    if bool(words) == bool(options.platform):
        raise XcError(
            (_("there is no harness to ask") if not words else _("give a command or a platform, not both")),
            mend=verbatim("xc sm run -- ./harness, or xc sm run --platform kunpeng --subject DIR"),
        )
    if words:
        from pytest_xinchuang.packages.sm_crypto.client import SmClient
        from pytest_xinchuang.sandbox.local import local

        with SmClient(local(words), timeout_s=options.timeout) as client:
            yield client
        return
    from pytest_xinchuang.packages.registry import installed
    from pytest_xinchuang.packages.sm_crypto.engine import SmEngine
    from pytest_xinchuang.packages.sm_crypto.manifest import SmCrypto
    from pytest_xinchuang.provision.progress import Progress
    from pytest_xinchuang.provision.store import Store
    from pytest_xinchuang.sandbox.pool import Pool
    from pytest_xinchuang.toolchain.builder import Builder

    platforms = load(options)
    platform = platforms.select([options.platform])[0]
    registry = installed()
    subject = registry.subject(
        Path(options.subject) if options.subject else resources.fixtures_dir() / "subjects" / "openssl"
    )
    if subject.section(SmCrypto) is None:
        raise XcError(
            _("{manifest} has no sm_crypto section", manifest=subject.manifest), mend=verbatim("xc sm init --lang go")
        )
    store = Store(platforms, progress=Progress(), packages=subject.file.rootfs_packages)
    store.cache.clean()
    pool = Pool(store, timeout_scale=options.timeout / 10)
    engine = SmEngine(platform, subject, registry.catalogue(), pool, Builder(store.cache, store.progress, pool.runner))
    try:
        yield engine.client()
    finally:
        engine.close()
        pool.close()


def _protocols(text: str) -> list[str]:
    from pytest_xinchuang.packages.sm_crypto.tls.probe import NAMES

    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in NAMES]:
        raise XcError(
            _(
                "{unknown} is not a protocol: there are {names}",
                unknown=verbatim(repr(unknown[0])),
                names=joined(NAMES, _(", ")),
            )
        )
    return [NAMES[name] for name in names]


def _tls(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.sm_crypto.report import endpoint_as_dict, endpoint_as_text
    from pytest_xinchuang.packages.sm_crypto.tls.probe import PROTOCOLS, probe, read_roots

    wanted, only = _protocols(options.expect), _protocols(options.only) or PROTOCOLS
    roots = read_roots(Path(options.ca)) if options.ca else []
    endpoint = probe(options.address, roots, timeout_s=options.timeout, only=only)
    if options.json:
        print(json.dumps(endpoint_as_dict(endpoint), indent=1, ensure_ascii=False))
    else:
        print(endpoint_as_text(endpoint), end="")
    lacking = [name for name in wanted if endpoint.get(name) is None]
    for name in lacking:
        print(f"{name} is expected, and not spoken: {endpoint.refused.get(name, '')}")
    if lacking or any(spoken.all_problems for spoken in endpoint.spoken):
        return EXIT_FINDINGS
    return EXIT_CLEAN if endpoint.spoken else EXIT_FINDINGS


def _init(options: argparse.Namespace) -> int:
    root = resources.fixtures_dir()
    language, _dash, library = options.lang.partition("-")
    sources: list[Path]
    if language == "c":
        sources = sorted((root / "subjects" / "openssl" / "sm").iterdir())
    elif language == "go":
        place = root / "harness" / "go"
        sources = [place / "protocol.go", *sorted((place / (library or "gmsm")).iterdir())]
    else:
        sources = sorted(p for p in (root / "harness" / language).iterdir() if p.is_file())
    target = Path(options.directory)
    if target.exists() and any(target.iterdir()):
        raise XcError(_("{target} is not empty", target=target), mend=_("name another directory"))
    target.mkdir(parents=True, exist_ok=True)
    for source in sources:
        shutil.copyfile(source, target / source.name)
    about, prepare = TEMPLATES[options.lang]
    start = STARTS.get(options.lang, "./harness")
    print(f"wrote {len(sources)} files to {target}: a harness for {about}")
    print(f"  cd {target} && {prepare}")
    print(f"  xc sm run -- {start}")
    return EXIT_CLEAN
