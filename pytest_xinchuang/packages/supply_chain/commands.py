"""`xc supply-chain`: what a Go module is built from, and signed mirrors of modules."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from pytest_xinchuang.commands.common import EXIT_CLEAN, EXIT_FINDINGS, EXIT_INCOMPLETE, Command
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _

ACTIONS = ("check", "verify", "sign", "keygen", "serve")


def with_action(arguments: list[str]) -> list[str]:
    """``xc supply-chain DIR`` is ``xc supply-chain check DIR``."""
    if arguments[:1] == ["supply-chain"] and len(arguments) > 1 and arguments[1] not in (*ACTIONS, "-h", "--help"):
        return ["supply-chain", "check", *arguments[1:]]
    return arguments


def add_command(command: Command) -> None:
    """Add ``xc supply-chain``."""
    supply = command("supply-chain", _run, "hashes, vendored files, allow-lists and mirrors of Go modules")
    actions = supply.add_subparsers(required=True, metavar="ACTION", dest="action")

    check = actions.add_parser("check", help="check go.mod, go.sum and vendor/ against what was published")
    check.add_argument("directory", metavar="DIR")
    check.add_argument(
        "--proxy", action="append", default=[], metavar="DIR|URL", help="take published modules from there"
    )
    check.add_argument("--offline", action="store_true", help="fetch nothing: take modules from the module cache")
    check.add_argument("--allow-list", metavar="FILE", help="YAML, xc-allow-list/1")
    check.add_argument("--advisories", metavar="PATH", help="OSV JSON: a file or a directory")
    check.add_argument("--least-go", default="", metavar="VERSION", help="the least go directive (default: 1.22)")
    check.add_argument("--platform-go", default="", metavar="VERSION", help="the newest Go that the platform has")
    check.add_argument("--sbom", metavar="FILE", help="write a CycloneDX document there")
    check.add_argument("--no-lint", action="store_true", help="do not look for the default HTTP client and the clock")
    check.add_argument(
        "--clock", action="append", default=[], metavar="FUNC", help="a function that may read the clock"
    )
    check.add_argument(
        "--http", action="append", default=[], metavar="FUNC", help="one that may use the default client"
    )
    check.add_argument("--notes", action="store_true", help="show notes too")

    verify = actions.add_parser("verify", help="check a mirror against its manifest and signature")
    verify.add_argument("mirror", metavar="DIR|URL")
    verify.add_argument(
        "--key", action="append", required=True, metavar="FILE", help="a public key (PEM) that is trusted"
    )
    verify.add_argument("--manifest", metavar="DIR", help="where the manifest is, if not on the mirror")
    for sub in (check, verify):
        sub.add_argument("--format", choices=["text", "json", "sarif"], default="text")
        sub.add_argument("--output", metavar="FILE")
        sub.add_argument("--language", choices=["en", "zh"], default="en")

    sign = actions.add_parser("sign", help="describe every file of a mirror, and sign the description with SM2")
    sign.add_argument("mirror", metavar="DIR")
    sign.add_argument("--key", metavar="FILE", help="the private key (PEM); without it nothing is signed")

    keygen = actions.add_parser("keygen", help="make an SM2 key: FILE and FILE.pub")
    keygen.add_argument("file", metavar="FILE")

    serve = actions.add_parser("serve", help="serve a mirror on loopback, and write each request down")
    serve.add_argument("mirror", metavar="DIR")
    serve.add_argument("--port", type=int, default=0)
    serve.add_argument("--audit", metavar="FILE", help="where requests are appended, as JSON lines (default: stderr)")


def _run(options: argparse.Namespace) -> int:
    actions = {"check": _check, "verify": _verify, "sign": _sign, "keygen": _keygen, "serve": _serve}
    return actions[options.action](options)


def _check(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.supply_chain.check import LEAST_GO, Options, SupplyChain
    from pytest_xinchuang.packages.supply_chain.lints import Allowances, lint
    from pytest_xinchuang.packages.supply_chain.lists import Advisories, load_allow_list
    from pytest_xinchuang.packages.supply_chain.proxy import Proxies
    from pytest_xinchuang.provision.cache import Cache

    directory = Path(options.directory)
    if not directory.is_dir():
        raise XcError(_("{directory}: no such directory", directory=directory))
    cache = Cache()
    chain = SupplyChain(
        directory.resolve(),
        Proxies(cache, options.proxy, offline=options.offline),
        Options(
            allow_list=load_allow_list(Path(options.allow_list)) if options.allow_list else None,
            advisories=Advisories(Path(options.advisories)) if options.advisories else None,
            least_go=options.least_go or LEAST_GO,
            platform_go=options.platform_go,
        ),
    )
    findings = list(chain.run())
    if not options.no_lint:
        findings += lint(cache, directory.resolve(), allow=Allowances(options.clock, options.http))
    if options.sbom:
        from pytest_xinchuang.packages.supply_chain.sbom import cyclonedx

        Path(options.sbom).write_text(cyclonedx(chain), encoding="utf-8")
    counts = {
        "modules": len(chain.published),
        "go.sum lines verified": chain.checked_lines,
        "vendored files verified": chain.checked_files,
    }
    return _tell(options, str(options.directory), findings, counts)


def _verify(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.supply_chain.mirror import check_mirror
    from pytest_xinchuang.packages.supply_chain.sm2sign import public_key

    trusted = [public_key(Path(name).read_text(encoding="utf-8", errors="replace")) for name in options.key]
    findings, good = check_mirror(options.mirror, trusted, Path(options.manifest) if options.manifest else None)
    return _tell(options, options.mirror, findings, {"files verified": good})


def _tell(options: argparse.Namespace, subject: str, findings: list[Any], counts: dict[str, int]) -> int:
    from pytest_xinchuang.core.finding import load_findings
    from pytest_xinchuang.packages.supply_chain.report import SupplyResult, as_json, as_sarif, as_text

    result = SupplyResult(subject, findings, load_findings(), counts, options.language)
    notes = getattr(options, "notes", True)
    text = {"text": lambda r: as_text(r, notes=notes), "json": as_json, "sarif": as_sarif}[options.format](result)
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    if result.fails:
        return EXIT_FINDINGS
    return EXIT_INCOMPLETE if result.incomplete else EXIT_CLEAN


def _sign(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.supply_chain.mirror import MANIFEST, write_manifest
    from pytest_xinchuang.packages.supply_chain.sm2sign import private_key

    root = Path(options.mirror)
    if not root.is_dir():
        raise XcError(_("{root}: no such directory", root=root))
    d = private_key(Path(options.key).read_text(encoding="utf-8", errors="replace")) if options.key else None
    manifest = write_manifest(root, d)
    print(f"{root / MANIFEST}: {len(manifest.files)} files, {'signed' if d is not None else 'not signed'}")
    return EXIT_CLEAN


def _keygen(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.supply_chain.sm2sign import new_key

    path = Path(options.file)
    private, public = new_key()
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(private, encoding="ascii")
    path.with_name(path.name + ".pub").write_text(public, encoding="ascii")
    print(f"wrote {path} (keep it) and {path}.pub (give it to those who verify)")
    return EXIT_CLEAN


def _serve(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.supply_chain.mirror import serve

    root = Path(options.mirror)
    if not root.is_dir():
        raise XcError(_("{root}: no such directory", root=root))
    with Path(options.audit or "/dev/stderr").open("a", encoding="utf-8") as log:

        def audit(entry: dict[str, Any]) -> None:
            log.write(json.dumps(entry, ensure_ascii=False) + "\n")
            log.flush()

        with serve(root, audit, options.port) as url:
            print(f"export GOPROXY={url} GONOSUMDB='*' GOFLAGS=-mod=mod", flush=True)
            while True:
                time.sleep(3600)
