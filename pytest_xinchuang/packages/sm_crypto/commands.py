"""`xc sm`: vectors, runs against a harness, templates of harnesses, and what a TLS endpoint speaks."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_xinchuang.commands.common import (
    Commands,
    Context,
    Exit,
    add_format,
    add_format_or_file,
    add_kind,
    add_lang,
    add_offline,
    add_platform,
)
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.near import near
from pytest_xinchuang.messages import _, joined, n_, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.packages.sm_crypto.client import SmClient

TEMPLATES = {
    "c": ("libcrypto (OpenSSL >= 1.1.1)", "cc -O2 harness.c json.c -lcrypto -lpthread -o harness"),
    "go": ("github.com/emmansun/gmsm", "go mod tidy && CGO_ENABLED=0 go build -o harness ."),
    "go-tjfoc": ("github.com/tjfoc/gmsm", "go mod tidy && CGO_ENABLED=0 go build -o harness ."),
    "python": ("cryptography, gmssl, tongsuopy", "pip install cryptography gmssl tongsuopy"),
    "java": ("BouncyCastle", "mvn -q compile dependency:build-classpath -Dmdep.outputFile=cp.txt"),
    "node": ("sm-crypto", "npm install"),
}
"""Language -> the library that the template is for, and the command that makes it ready."""

STARTS = {
    "python": "python harness_cryptography.py",
    "java": 'java -cp "target/classes:$(cat cp.txt)" Harness',
    "node": "node harness.mjs",
}


def add_commands(commands: Commands) -> None:
    """Add ``xc sm``."""
    commands.group("sm", _("SM2, SM3 and SM4: vectors, harnesses, TLS"), _fill)


def _fill(sm: Commands) -> None:
    sm.command("vectors", _("list the vector files, or explain a vector"), _vectors, _fill_vectors)
    sm.command("run", _("run vectors against a harness, here or on a platform"), _run, _fill_run)
    sm.command("check-harness", _("look at a harness, for who writes one"), _check_harness, _fill_check)
    sm.command("tls", _("what a TLS endpoint speaks, from SSL 3.0 to TLS 1.3, RFC 8998 and TLCP"), _tls, _fill_tls)
    sm.command(
        "client-hello",
        _("what a TLS client offers: waits for one and reads its hello"),
        _client_hello,
        _fill_client_hello,
    )
    sm.command("init", _("write a template of a harness"), _init, _fill_init)


def _fill_vectors(parser: XcParser) -> None:
    parser.add_argument("id", nargs="?", help=_("a file (sm2_verify) or a vector (sm2_verify/117)"))
    add_lang(parser)
    parser.add_argument("--schema", action="store_true", help=_("print the JSON Schema of vector files"))


def _fill_run(parser: XcParser) -> None:
    parser.add_argument("--tc", action="append", metavar="ID", help=_("only this file or vector; may be given again"))
    parser.add_argument(
        "--vectors", metavar="DIR", help=_("vector files of Wycheproof's shape instead of the shipped ones")
    )
    parser.add_argument("--slow", action="store_true", help=_("the slow ones too (half a GiB through SM3)"))
    _add_timeout(parser)
    add_format_or_file(parser, "json")
    _add_harness(parser)


def _fill_check(parser: XcParser) -> None:
    _add_timeout(parser)
    add_format(parser, "text", "json", json_flag=True)
    _add_harness(parser)


def _add_harness(parser: XcParser) -> None:
    """The harness that is asked: a command on this host, or a subject's on a platform."""
    add_lang(parser)
    add_platform(parser, help=_("run the harness of --subject in this platform's sandbox"))
    parser.add_argument(
        "--subject", metavar="PATH", help=_("with --platform: the manifest (default: the target's OpenSSL)")
    )
    add_offline(parser)
    parser.add_words("COMMAND", _("starts the harness on this host"))


def _fill_tls(parser: XcParser) -> None:
    parser.add_argument("address", metavar="HOST:PORT", help=_("the endpoint"))
    parser.add_argument("--ca", metavar="FILE", help=_("the roots to verify chains with (PEM or DER)"))
    parser.add_argument(
        "--name", default="", metavar="HOST", help=_("the name that clients use (default: the host of the address)")
    )
    parser.add_argument(
        "--expect",
        default="",
        metavar="NAME[,NAME]",
        help=_("fail unless it speaks these: {names}", names=verbatim("tlcp, rfc8998, tls1.3, tls1.2, ...")),
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="NAME[,NAME]",
        help=_("try these alone: {names}", names=verbatim("tlcp, rfc8998, tls1.3, tls1.2, tls1.1, tls1.0, ssl3")),
    )
    parser.add_argument(
        "--cert", default="", metavar="FILE", help=_("a client's certificate for servers that ask for one (PEM)")
    )
    parser.add_argument("--key", default="", metavar="FILE", help=_("its key (PEM; default: in the same file)"))
    parser.add_argument(
        "--quick", action="store_true", help=_("one handshake of each protocol: no list of suites, groups and names")
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=120.0,
        metavar="S",
        help=_("seconds for everything; what is not reached is told as not known (default: {default})", default=120),
    )
    parser.add_argument(
        "--connection-timeout",
        type=float,
        default=10.0,
        metavar="S",
        help=_("seconds for one connection (default: {default})", default=10),
    )
    add_format(parser, "text", "json", "sarif", json_flag=True)
    add_lang(parser)


def _fill_client_hello(parser: XcParser) -> None:
    parser.add_argument("address", metavar="[HOST:]PORT", help=_("where to wait (HOST default: 127.0.0.1)"))
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="S",
        help=_("seconds to wait for a hello (default: {default})", default=60),
    )
    add_format(parser, "text", "json", "sarif")
    add_lang(parser)


def _add_timeout(parser: XcParser) -> None:
    parser.add_argument(
        "--timeout",
        type=float,
        default=10.0,
        metavar="S",
        help=_("seconds for one request (default: {default})", default=10),
    )


def _fill_init(parser: XcParser) -> None:
    add_kind(parser, *sorted(TEMPLATES))
    parser.add_argument(
        "directory",
        nargs="?",
        default="sm-harness",
        help=_("where it is written (default: {default})", default=verbatim("sm-harness")),
    )


def _vectors(context: Context) -> int:
    from pytest_xinchuang.packages.sm_crypto.defects import load_bank
    from pytest_xinchuang.packages.sm_crypto.engine import vectors_dir
    from pytest_xinchuang.packages.sm_crypto.report import explain, list_files
    from pytest_xinchuang.packages.sm_crypto.vectors import find, json_schema, load_directory

    options = context.options
    if options.schema:
        context.write_json(json_schema())
        return Exit.CLEAN
    loaded = load_directory(vectors_dir())
    if not options.id:
        context.write(list_files(loaded, context.language))
        return Exit.CLEAN
    bank = load_bank()
    context.write("\n".join(explain(v, bank, context.language) for v in find(loaded, options.id)))
    return Exit.CLEAN


def _run(context: Context) -> int:
    from pytest_xinchuang.packages.sm_crypto.checkup import hello_hints
    from pytest_xinchuang.packages.sm_crypto.defects import load_bank
    from pytest_xinchuang.packages.sm_crypto.engine import vectors_dir
    from pytest_xinchuang.packages.sm_crypto.judge import TYPES, VectorResult
    from pytest_xinchuang.packages.sm_crypto.report import as_dict, as_text
    from pytest_xinchuang.packages.sm_crypto.runner import run_vectors
    from pytest_xinchuang.packages.sm_crypto.vectors import find, load_directory

    options = context.options
    loaded = load_directory(Path(options.vectors) if options.vectors else vectors_dir())
    if options.tc:
        chosen = [v for name in options.tc for v in find(loaded, name)]
    else:
        chosen = [v for one in loaded for v in one.vectors() if options.slow or not v.group.get("slow")]
    if not chosen:
        raise XcError(_("there is no vector to run"), mend=verbatim("xc sm vectors"))
    if unknown := sorted({v.group.type for v in chosen if v.group.type not in TYPES}):
        types = joined(map(verbatim, unknown), _(", "))
        raise XcError(_("vectors of a type that this suite does not know: {types}", types=types))
    with _client(context) as client:
        result = run_vectors(client, chosen)
        hello = client.hello
    where, again = _again(options, context.words)
    # The command comes last: what follows `--` is the harness's own.
    text = as_text(result, load_bank(), again, where, context.language)
    about = f"{hello.name} {hello.version} ({hello.language})  {where}\n"
    hints = hello_hints(hello)
    data = {**as_dict(result, hello.model_dump(mode="json")), "hints": hints}
    about += "".join(f"? {hint.render(context.language)}\n" for hint in hints)
    if options.format == "json":
        context.write_json(data)
    else:
        context.write(about + text)
    if options.json_file:
        context.write_json(data, Path(options.json_file))
    count = result.count()
    if count[VectorResult.FAILED] or result.violations or result.crashes:
        return Exit.FINDINGS
    decided = count[VectorResult.PASSED] + count[VectorResult.ACCEPTABLE]
    return Exit.INCOMPLETE if count[VectorResult.UNDECIDED] or not decided else Exit.CLEAN


def _check_harness(context: Context) -> int:
    from pytest_xinchuang.packages.sm_crypto.checkup import as_dict, as_text, check_up
    from pytest_xinchuang.packages.sm_crypto.engine import vectors_dir
    from pytest_xinchuang.packages.sm_crypto.vectors import load_directory

    vectors = [v for one in load_directory(vectors_dir()) for v in one.vectors() if not v.group.get("slow")]
    with _client(context) as client:
        checkup = check_up(client, vectors)
    if context.options.format == "json":
        context.write_json(as_dict(checkup))
    else:
        context.write(as_text(checkup, context.language))
    return Exit.FINDINGS if checkup.failed else Exit.CLEAN


def _again(options: argparse.Namespace, words: list[str]) -> tuple[str, str]:
    """(where the vectors ran, the command that runs them again), as the user would type them."""
    where = f"--platform {options.platform}" if options.platform else f"-- {' '.join(words)}"
    if options.subject:
        where += f" --subject {options.subject}"
    return where, "xc sm run" + (f" --vectors {options.vectors}" if options.vectors else "")


@contextmanager
def _client(context: Context) -> Iterator[SmClient]:
    options, words = context.options, context.words
    if bool(words) == bool(options.platform):
        raise XcError(
            _("there is no harness to ask") if not words else _("give a command or a platform, not both"),
            mend=_(
                "{here}, or {there}",
                here=verbatim("xc sm run -- ./harness"),
                there=verbatim("xc sm run --platform kunpeng --subject DIR"),
            ),
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

    platform = context.platforms.select([options.platform])[0]
    registry = installed()
    subject = registry.subject(
        Path(options.subject) if options.subject else resources.fixtures_dir() / "subjects" / "openssl"
    )
    if subject.section(SmCrypto) is None:
        raise XcError(
            _("{manifest} has no sm_crypto section", manifest=verbatim(str(subject.manifest))),
            mend=verbatim("xc sm init --kind go"),
        )
    pool = context.pool(packages=subject.file.rootfs_packages, timeout_scale=options.timeout / 10)
    engine = SmEngine(platform, subject, registry.catalogue(), pool, context.builder(pool))
    try:
        yield engine.client()
    finally:
        engine.close()


def _protocols(text: str) -> list[str]:
    from pytest_xinchuang.packages.sm_crypto.tls.probe import NAMES

    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in NAMES]:
        raise XcError(
            _(
                "{name} is not a protocol{hint}: there are {known}",
                name=verbatim(repr(unknown[0])),
                hint=near(unknown[0], NAMES),
                known=joined(map(verbatim, NAMES), _(", ")),
            )
        )
    return [NAMES[name] for name in names]


def _tls(context: Context) -> int:
    from pytest_xinchuang.packages.sm_crypto.tls.probe import EVERY, probe, read_identity, read_roots
    from pytest_xinchuang.packages.sm_crypto.tls.report import as_sarif, endpoint_as_dict, endpoint_as_text

    options = context.options
    wanted, only = _protocols(options.expect), _protocols(options.only) or EVERY
    total, each = _seconds(options.timeout, "--timeout"), _seconds(options.connection_timeout, "--connection-timeout")
    roots = read_roots(Path(options.ca)) if options.ca else []
    endpoint = probe(
        options.address,
        roots,
        timeout_s=min(each, total),
        total_s=total,
        only=only,
        name=options.name,
        survey=not options.quick,
        identity=read_identity(options.cert, options.key),
    )
    if options.format == "json":
        context.write_json(endpoint_as_dict(endpoint))
    elif options.format == "sarif":
        context.write(as_sarif(endpoint.all_findings, endpoint.address, "xc sm tls", context.language))
    else:
        context.write(endpoint_as_text(endpoint, context.language))
    lacking = [name for name in wanted if endpoint.get(name) is None]
    for name in lacking:
        why = endpoint.unknown.get(name) or endpoint.refused.get(name) or _("it was not tried (--only)")
        context.tell(_("{protocol} is expected, and not spoken: {why}", protocol=verbatim(name), why=why))
    if endpoint.fails or any(name not in endpoint.unknown for name in lacking):
        return Exit.FINDINGS
    if endpoint.incomplete:
        return Exit.INCOMPLETE
    return Exit.CLEAN if endpoint.spoken else Exit.FINDINGS


def _seconds(value: float, option: str) -> float:
    """A number of seconds. Raises XcError: nothing can be done in so many."""
    if not 0 < value < 1e6:
        raise XcError(
            _(
                "{option} is {value}: it must be more than 0 and less than a million",
                option=verbatim(option),
                value=value,
            ),
            mend=verbatim(f"{option} 60"),
        )
    return value


def _client_hello(context: Context) -> int:
    from pytest_xinchuang.packages.sm_crypto.tls.offer import hear, listen
    from pytest_xinchuang.packages.sm_crypto.tls.probe import parse_address
    from pytest_xinchuang.packages.sm_crypto.tls.report import as_sarif, offer_as_dict, offer_as_text

    options = context.options
    text = options.address
    host, port = parse_address(text if ":" in text else f"127.0.0.1:{text}")
    seconds = _seconds(options.timeout, "--timeout")
    with listen(host, port) as listener:
        context.tell(_("waiting for a client on {host}, port {port}", host=verbatim(host), port=verbatim(str(port))))
        offer = hear(listener, seconds)
    if options.format == "json":
        context.write_json(offer_as_dict(offer))
    elif options.format == "sarif":
        context.write(as_sarif(offer.findings, offer.peer, "xc sm client-hello", context.language))
    else:
        context.write(offer_as_text(offer, context.language))
    return Exit.FINDINGS if offer.fails else Exit.CLEAN


def _init(context: Context) -> int:
    root, kind = resources.fixtures_dir(), context.options.kind
    language, _dash, library = kind.partition("-")
    sources: list[Path]
    if language == "c":
        sources = sorted((root / "subjects" / "openssl" / "sm").iterdir())
    elif language == "go":
        place = root / "harness" / "go"
        sources = [place / "protocol.go", *sorted((place / (library or "gmsm")).iterdir())]
    else:
        sources = sorted(p for p in (root / "harness" / language).iterdir() if p.is_file())
    target = Path(context.options.directory)
    if target.exists() and any(target.iterdir()):
        raise XcError(_("{directory} is not empty", directory=verbatim(str(target))), mend=_("name another directory"))
    target.mkdir(parents=True, exist_ok=True)
    for source in sources:
        shutil.copyfile(source, target / source.name)
    about, prepare = TEMPLATES[kind]
    context.say(
        _(
            "wrote {files} to {directory}: a harness for {library}",
            files=n_("{n} file", "{n} files", len(sources)),
            directory=verbatim(str(target)),
            library=verbatim(about),
        )
    )
    context.say(verbatim(f"  cd {target} && {prepare}"))
    context.say(verbatim(f"  xc sm run -- {STARTS.get(kind, './harness')}"))
    return Exit.CLEAN
