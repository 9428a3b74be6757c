"""`xc supply-chain`: what a product is built from, and signed mirrors of modules."""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.commands.common import Commands, Context, Exit, add_format, add_offline
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, n_, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.core.finding import Finding
    from pytest_xinchuang.packages.supply_chain.check import Lists
    from pytest_xinchuang.packages.supply_chain.golang.check import SupplyChain
    from pytest_xinchuang.provision.cache import Cache


def add_commands(commands: Commands) -> None:
    """Add ``xc supply-chain``; ``xc supply-chain DIR`` is ``xc supply-chain check DIR``."""
    text = _("hashes, installed and vendored files, allow-lists and mirrors: Go, npm, PyPI, Cargo, Maven, Conan, vcpkg")
    commands.group("supply-chain", text, _fill, default="check")


def _fill(supply: Commands) -> None:
    supply.command(
        "check", _("check locks, and what is installed or vendored, against what was published"), _check, _fill_check
    )
    supply.command("image", _("list what an image or a root filesystem is made of"), _image, _fill_image)
    supply.command("verify", _("check a mirror against its manifest and signature"), _verify, _fill_verify)
    supply.command("sign", _("describe every file of a mirror, and sign the description with SM2"), _sign, _fill_sign)
    supply.command("keygen", _("make an SM2 key: FILE and FILE.pub"), _keygen, _fill_keygen)
    supply.command("serve", _("serve a mirror on loopback, and write each request down"), _serve, _fill_serve)


def _fill_check(parser: XcParser) -> None:
    parser.add_argument("directory", metavar="DIR", help=_("a product"))
    parser.add_argument(
        "--ecosystem", default="", metavar="LIST", help=_("these alone, by commas (default: each that the product has)")
    )
    parser.add_argument(
        "--proxy", action="append", default=[], metavar="DIR|URL", help=_("take published Go modules from there")
    )
    parser.add_argument(
        "--registry",
        action="append",
        default=[],
        metavar="ECOSYSTEM=DIR|URL",
        help=_("take what an ecosystem published from there"),
    )
    parser.add_argument(
        "--registry-key",
        action="append",
        default=[],
        metavar="maven[:GROUP]=FILE",
        help=_("OpenPGP keys that the files of Maven's packages, of a group or of all, have to be signed by"),
    )
    parser.add_argument(
        "--sumdb",
        action="append",
        default=[],
        metavar="DIR|URL",
        help=_("records of Go's checksum database, which vouch for published modules"),
    )
    parser.add_argument(
        "--sumdb-key", default="", metavar="KEY", help=_("the key of a checksum database of one's own (NAME+HASH+KEY)")
    )
    parser.add_argument(
        "--mirror-key",
        action="append",
        default=[],
        metavar="FILE",
        help=_("a public key (PEM); the list of a --proxy that it signed vouches, too"),
    )
    add_offline(parser)
    parser.add_argument("--allow-list", metavar="FILE", help=_("YAML, xc-allow-list/1"))
    parser.add_argument("--advisories", metavar="PATH", help=_("OSV JSON: a file or a directory"))
    parser.add_argument(
        "--least-go",
        default="",
        metavar="VERSION",
        help=_("the least go directive (default: {default})", default="1.22"),
    )
    parser.add_argument("--platform-go", default="", metavar="VERSION", help=_("the newest Go that the platform has"))
    parser.add_argument("--sbom", metavar="FILE", help=_("write a bill of materials there"))
    parser.add_argument(
        "--sbom-format", choices=("cyclonedx", "spdx"), default="cyclonedx", help=_("its form (default: cyclonedx)")
    )
    parser.add_argument("--licences", metavar="FILE", help=_("YAML, xc-licences/1: the licences that are allowed"))
    parser.add_argument(
        "--no-lint", action="store_true", help=_("do not look for the default HTTP client and the clock")
    )
    parser.add_argument(
        "--clock", action="append", default=[], metavar="FUNC", help=_("a function that may read the clock")
    )
    parser.add_argument(
        "--http", action="append", default=[], metavar="FUNC", help=_("one that may use the default client")
    )
    parser.add_argument("--notes", action="store_true", help=_("show notes too"))
    add_format(parser, "text", "json", "sarif")


def _fill_image(parser: XcParser) -> None:
    parser.add_argument(
        "image",
        metavar="PATH",
        help=_("an OCI layout, what docker save writes, an archive or a directory with a root filesystem"),
    )
    parser.add_argument(
        "--arch", default="", metavar="ARCH", help=_("of an image for several platforms, by OCI's name")
    )
    parser.add_argument("--advisories", metavar="PATH", help=_("OSV JSON: a file or a directory"))
    parser.add_argument("--sbom", metavar="FILE", help=_("write a bill of materials there"))
    parser.add_argument(
        "--sbom-format", choices=("cyclonedx", "spdx"), default="cyclonedx", help=_("its form (default: cyclonedx)")
    )
    parser.add_argument("--notes", action="store_true", help=_("show notes too"))
    add_format(parser, "text", "json", "sarif")


def _fill_verify(parser: XcParser) -> None:
    parser.add_argument("mirror", metavar="DIR|URL", help=_("the mirror"))
    parser.add_argument(
        "--key", action="append", required=True, metavar="FILE", help=_("a public key (PEM) that is trusted")
    )
    parser.add_argument("--manifest", metavar="DIR", help=_("where the manifest is, if not on the mirror"))
    add_format(parser, "text", "json", "sarif")


def _fill_sign(parser: XcParser) -> None:
    parser.add_argument("mirror", metavar="DIR", help=_("the mirror"))
    parser.add_argument("--key", metavar="FILE", help=_("the private key (PEM); without it nothing is signed"))


def _fill_keygen(parser: XcParser) -> None:
    parser.add_argument("file", metavar="FILE", help=_("where the private key is written"))


def _fill_serve(parser: XcParser) -> None:
    parser.add_argument("mirror", metavar="DIR", help=_("the mirror"))
    parser.add_argument("--port", type=int, default=0, metavar="N", help=_("the port (default: a free one)"))
    parser.add_argument(
        "--audit", metavar="FILE", help=_("where requests are appended, as JSON lines (default: standard error)")
    )


def _check(context: Context) -> int:
    from pytest_xinchuang.packages.supply_chain.check import Lists
    from pytest_xinchuang.packages.supply_chain.checking import checks, choose, keys, places
    from pytest_xinchuang.packages.supply_chain.licences import load_licences
    from pytest_xinchuang.packages.supply_chain.lists import Advisories, load_allow_list
    from pytest_xinchuang.packages.supply_chain.registries import Registries
    from pytest_xinchuang.provision.cache import Cache

    options = context.options
    directory = _directory(options.directory).resolve()
    chosen = choose(directory, options.ecosystem)
    cache = Cache()
    lists = Lists(
        allow_list=load_allow_list(Path(options.allow_list)) if options.allow_list else None,
        advisories=Advisories(Path(options.advisories)) if options.advisories else None,
        licences=load_licences(Path(options.licences)) if options.licences else None,
    )
    registries = Registries(cache, places(options.registry), keys=keys(options.registry_key), offline=options.offline)
    findings: list[Finding] = []
    counts: dict[str, int] = {}
    chain = None
    if chosen.go:
        chain = _go(context, directory, cache, lists, findings, counts)
    done = checks(directory, chosen.others, registries, lists)
    findings += [finding for one in done for finding in one.findings]
    if done:
        counts["packages"] = sum(len(one.entries) for one in done)
        counts["packages verified"] = sum(one.verified for one in done)
        counts["installed files compared"] = sum(one.checked_files for one in done)
    if options.sbom:
        from pytest_xinchuang.packages.supply_chain import sbom

        write = sbom.spdx if options.sbom_format == "spdx" else sbom.cyclonedx
        context.write(write(chain, "", done, directory.name), Path(options.sbom))
    return _tell(context, str(options.directory), findings, counts)


def _go(
    context: Context, directory: Path, cache: Cache, lists: Lists, findings: list[Finding], counts: dict[str, int]
) -> SupplyChain:
    """Check a Go module; what is found and counted is added."""
    from pytest_xinchuang.packages.supply_chain.golang.chain import LEAST_GO, Options
    from pytest_xinchuang.packages.supply_chain.golang.check import SupplyChain
    from pytest_xinchuang.packages.supply_chain.golang.lints import Allowances, lint
    from pytest_xinchuang.packages.supply_chain.golang.proxy import Proxies
    from pytest_xinchuang.packages.supply_chain.golang.vouching import vouching

    options = context.options
    proxies = Proxies(cache, options.proxy, offline=options.offline)
    chain = SupplyChain(
        directory,
        proxies,
        Options(
            vouching=vouching(
                proxies,
                places=options.sumdb,
                key=options.sumdb_key,
                mirrors=options.proxy,
                trusted=_public_keys(options.mirror_key),
            ),
            allow_list=lists.allow_list,
            advisories=lists.advisories,
            least_go=options.least_go or LEAST_GO,
            platform_go=options.platform_go,
        ),
    )
    findings += chain.run()
    if not options.no_lint:
        findings += lint(cache, directory, allow=Allowances(options.clock, options.http))
    counts["modules"] = len(chain.published)
    counts["go.sum lines compared"] = chain.checked_lines
    counts["vendored files compared"] = chain.checked_files
    counts["modules vouched for"] = chain.vouched
    return chain


def _image(context: Context) -> int:
    from pytest_xinchuang.packages.supply_chain.images.bill import bill
    from pytest_xinchuang.packages.supply_chain.images.check import ImageCheck
    from pytest_xinchuang.packages.supply_chain.images.found import look_inside
    from pytest_xinchuang.packages.supply_chain.lists import Advisories

    options = context.options
    path = Path(options.image)
    if not path.exists():
        raise XcError(_("{path}: there is no such file or directory", path=verbatim(str(path))))
    advisories = Advisories(Path(options.advisories)) if options.advisories else None
    inside = look_inside(path, options.arch)
    findings = ImageCheck(inside, advisories).run()
    if options.sbom:
        context.write(bill(inside, path.name, options.sbom_format), Path(options.sbom))
    return _tell(context, options.image, findings, {"packages": sum(p.kind != "generic" for p in inside.parts)})


def _public_keys(names: list[str]) -> list[Any]:
    from pytest_xinchuang.packages.supply_chain.sm2sign import public_key

    return [public_key(Path(name).read_text(encoding="utf-8", errors="replace")) for name in names]


def _directory(name: str) -> Path:
    directory = Path(name)
    if not directory.is_dir():
        raise XcError(_("{directory}: no such directory", directory=verbatim(name)))
    return directory


def _verify(context: Context) -> int:
    from pytest_xinchuang.packages.supply_chain.mirror import check_mirror

    options = context.options
    trusted = _public_keys(options.key)
    findings, good = check_mirror(options.mirror, trusted, Path(options.manifest) if options.manifest else None)
    return _tell(context, options.mirror, findings, {"files verified": good})


def _tell(context: Context, subject: str, findings: list[Any], counts: dict[str, int]) -> int:
    from pytest_xinchuang.core.finding import load_findings
    from pytest_xinchuang.packages.supply_chain.report import SupplyResult, as_json, as_sarif, as_text

    result = SupplyResult(subject, findings, load_findings(), counts, context.language)
    notes = getattr(context.options, "notes", True)
    makers = {"text": lambda r: as_text(r, notes=notes), "json": as_json, "sarif": as_sarif}
    context.write(makers[context.options.format](result))
    if result.fails:
        return Exit.FINDINGS
    return Exit.INCOMPLETE if result.incomplete else Exit.CLEAN


def _sign(context: Context) -> int:
    from pytest_xinchuang.packages.supply_chain.mirror import MANIFEST, write_manifest
    from pytest_xinchuang.packages.supply_chain.sm2sign import private_key

    root, key = _directory(context.options.mirror), context.options.key
    d = private_key(Path(key).read_text(encoding="utf-8", errors="replace")) if key else None
    manifest = write_manifest(root, d)
    context.say(
        _(
            "{file}: {files}, {signed}",
            file=verbatim(str(root / MANIFEST)),
            files=n_("{n} file", "{n} files", len(manifest.files)),
            signed=_("signed") if d is not None else _("not signed"),
        )
    )
    return Exit.CLEAN


def _keygen(context: Context) -> int:
    from pytest_xinchuang.packages.supply_chain.sm2sign import new_key

    path = Path(context.options.file)
    private, public = new_key()
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(private, encoding="ascii", newline="\n")
    path.with_name(path.name + ".pub").write_text(public, encoding="ascii", newline="\n")
    context.say(_("wrote {file} (keep it) and {file}.pub (give it to those who verify)", file=verbatim(str(path))))
    return Exit.CLEAN


def _serve(context: Context) -> int:
    from pytest_xinchuang.packages.supply_chain.mirror import serve

    options = context.options
    root = _directory(options.mirror)
    with Path(options.audit).open("a", encoding="utf-8") if options.audit else nullcontext(sys.stderr) as log:

        def audit(entry: dict[str, Any]) -> None:
            log.write(json.dumps(entry, ensure_ascii=False) + "\n")
            log.flush()

        with serve(root, audit, options.port) as url:
            context.say(verbatim(f"export GOPROXY={url} GONOSUMDB='*' GOFLAGS=-mod=mod"))
            while True:
                time.sleep(3600)
