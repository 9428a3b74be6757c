"""What an endpoint or a client was seen to speak, as text, JSON and SARIF: pure functions of the findings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from pytest_xinchuang import __version__
from pytest_xinchuang.core.errors import MissingDependency
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import Message, _, n_, render, verbatim
from pytest_xinchuang.packages.sm_crypto.certificates import Certificate, parse
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Endpoint, Spoken, catalogue
from pytest_xinchuang.packages.sm_crypto.tls.names import names_of
from pytest_xinchuang.packages.sm_crypto.tls.offer import Offer
from pytest_xinchuang.report.inspection import ORDER, SARIF_LEVELS, WORDS, sarif_rules, told
from pytest_xinchuang.report.sarif import sarif_document

SHOWN = 12
"""As many suites or certificates stand in the text; JSON has all."""


def shown(finding: Finding) -> Certainty:
    """A finding that stands in no way is a note, however certain it is."""
    if finding.certainty is Certainty.CERTAIN and not catalogue().fails(finding):
        return Certainty.NOTE
    return finding.certainty


def _ordered(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda f: (ORDER.index(shown(f)), f.code))


def endpoint_as_dict(endpoint: Endpoint) -> dict[str, Any]:
    """The result of the TLS probe as plain data; ``schema`` is xc-sm-tls/1."""
    return {
        "schema": "xc-sm-tls/1",
        "suite": {"version": __version__},
        "address": endpoint.address,
        "spoken": [_spoken(s) for s in endpoint.spoken],
        "refused": endpoint.refused,
        "undecided": endpoint.unknown,
        "findings": [_finding(f) for f in _ordered(endpoint.all_findings)],
    }


def _spoken(spoken: Spoken) -> dict[str, Any]:
    return {
        "protocol": spoken.protocol,
        "suite": spoken.suite,
        "group": spoken.group,
        "signature": spoken.signature,
        "whole_handshake": spoken.whole,
        "suites": spoken.suites,
        "own_order": spoken.own_order,
        "groups": spoken.groups,
        "signature_schemes": spoken.schemes,
        "resumption": spoken.resumption,
        "client_certificate": None
        if spoken.client_types is None
        else {"types": spoken.client_types, "authorities": spoken.client_authorities},
        "certificates": [described(c) for c in spoken.certificates],
        "problems": spoken.all_problems,
        "notes": spoken.notes,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    rule = catalogue().get(finding.code)
    return {
        "code": finding.code,
        "certainty": shown(finding).value,
        "level": rule.level.value if rule.level else None,
        "protocol": finding.object,
        "clause": rule.clause,
        "params": dict(finding.params),
        "text": {lang: catalogue().text(finding).render(lang) for lang in ("zh", "en")},
        "mend": {lang: catalogue().mend(finding).render(lang) for lang in ("zh", "en")},
    }


def described(der: bytes) -> dict[str, Any]:
    """What a certificate says: names, dates, key, usages, algorithm, and its hash."""
    digest = hashlib.sha256(der).hexdigest()
    try:
        found = parse(der)
        validity = found.asn1["tbs_certificate"]["validity"].native
        names = names_of(found)
        return {
            "subject": found.subject,
            "issuer": found.issuer,
            "not_before": validity["not_before"].date().isoformat(),
            "not_after": validity["not_after"].date().isoformat(),
            "names": [*names.hosts, *names.addresses],
            "key": _key(found),
            "signature_algorithm": found.signature_oids[0],
            "usages": sorted(found.usages) if found.usages is not None else None,
            "ca": found.is_ca,
            "sha256": digest,
        }
    except (ValueError, MissingDependency) as error:
        return {"subject": _("unreadable: {why}", why=error), "sha256": digest}


def _key(certificate: Certificate) -> str:
    try:
        key = certificate.asn1.public_key
        return f"{str(key.algorithm).upper()} {int(key.bit_size or 0)}"
    except (ValueError, TypeError, LookupError, AttributeError, NotImplementedError):
        return ""


def endpoint_as_text(endpoint: Endpoint, lang: str = "en") -> str:
    """The result of the TLS probe for people."""
    lines = [render(endpoint.address, lang)]
    for spoken in endpoint.spoken:
        what = ", ".join(x for x in (spoken.suite, spoken.group, spoken.signature) if x)
        lines.append(f"  {spoken.protocol}: {what}")
        for der in spoken.certificates[:SHOWN]:
            d = described(der)
            about = _("{subject} (until {not_after}, by {issuer})", **_words(d)) if "issuer" in d else d["subject"]
            lines.append(f"    {render(about, lang)}")
        lines += [f"    {line.render(lang)}" for line in _abilities(spoken)]
        lines += _told(spoken.findings, "    ", lang)
    for name, why in endpoint.refused.items():
        lines.append("  " + _("{protocol}: no ({why})", protocol=name, why=why).render(lang))
    for what, why in endpoint.unknown.items():
        lines.append("  " + _("{protocol}: not known ({why})", protocol=what, why=why).render(lang))
    lines += _told([f for f in endpoint.findings if f.certainty is not Certainty.UNDECIDED], "  ", lang)
    return "\n".join(lines) + "\n"


def _words(found: dict[str, Any]) -> dict[str, str]:
    return {name: found[name] for name in ("subject", "issuer", "not_after")}


def _list(names: Sequence[str]) -> Message:
    more = len(names) - SHOWN
    text = verbatim(", ".join(names[:SHOWN]))
    return _("{names} and {n} more", names=text, n=more) if more > 0 else text


def _abilities(spoken: Spoken) -> list[Message]:
    lines = []
    if len(spoken.suites) > 1:
        by_server = _("suites, in the server's order: {names}", names=_list(spoken.suites))
        by_client = _("suites, in the client's order: {names}", names=_list(spoken.suites))
        lines.append(by_server if spoken.own_order else by_client)
    if spoken.groups:
        lines.append(_("groups: {names}", names=_list(spoken.groups)))
    if spoken.schemes:
        lines.append(_("signature schemes: {names}", names=_list(spoken.schemes)))
    for how, works in spoken.resumption.items():
        lines.append(
            _("sessions are resumed by {how}", how=verbatim(how))
            if works
            else _("sessions are offered to be resumed by {how}, and are not", how=verbatim(how))
        )
    if spoken.client_types is not None:
        authorities = n_("{n} authority", "{n} authorities", len(spoken.client_authorities))
        types = verbatim(", ".join(spoken.client_types) or "-")
        lines.append(_("client certificates: {types}; {authorities}", types=types, authorities=authorities))
    return lines


def _told(findings: Sequence[Finding], indent: str, lang: str) -> list[str]:
    """A line for each finding, with its clause behind it; the mend of those that fail."""
    lines = []
    for finding in _ordered(findings):
        rule, certainty = catalogue().get(finding.code), shown(finding)
        word = WORDS[certainty.value].render(lang)
        text = catalogue().text(finding).render(lang)
        lines.append(f"{indent}{word} {finding.code} {text} [{rule.clause}]")
        if certainty is Certainty.CERTAIN:
            mend = _("mend: {mend}", mend=catalogue().mend(finding)).render(lang)
            lines.append(f"{indent}     {mend}")
    return lines


def as_sarif(findings: Sequence[Finding], address: str, command: str, lang: str) -> str:
    """SARIF 2.1.0; the place of a finding is the endpoint, and its protocol below it."""
    codes = sorted({f.code for f in findings})
    results = [
        {
            "ruleId": f.code,
            "ruleIndex": codes.index(f.code),
            "level": SARIF_LEVELS[shown(f)],
            "message": {"text": told(catalogue(), f).render(lang)},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": f"tls://{render(address, 'en')}"}},
                    "logicalLocations": [{"fullyQualifiedName": f.object or "TLS", "kind": "resource"}],
                }
            ],
            "partialFingerprints": {"xc/v1": f"{f.code}:{f.object}:{':'.join(map(str, f.params.values()))}"},
            "properties": {"clause": catalogue().get(f.code).clause, "certainty": shown(f).value},
        }
        for f in _ordered(findings)
    ]
    return sarif_document(command, sarif_rules(catalogue(), codes, lang), results)


def offer_as_dict(offer: Offer) -> dict[str, Any]:
    """A client's hello as plain data; ``schema`` is xc-sm-client-hello/1."""
    return {
        "schema": "xc-sm-client-hello/1",
        "suite": {"version": __version__},
        "peer": offer.peer,
        "versions": offer.versions,
        "suites": offer.suites,
        "groups": offer.groups,
        "signature_schemes": offer.schemes,
        "server_name": offer.server_name,
        "alpn": offer.alpn,
        "extensions": offer.extensions,
        "findings": [_finding(f) for f in _ordered(offer.findings)],
    }


def offer_as_text(offer: Offer, lang: str = "en") -> str:
    """A client's hello for people."""
    rows = [
        (_("versions: {names}", names=verbatim(", ".join(offer.versions) or "-")), offer.versions),
        (_("suites: {names}", names=verbatim(", ".join(offer.suites))), offer.suites),
        (_("groups: {names}", names=verbatim(", ".join(offer.groups))), offer.groups),
        (_("signature schemes: {names}", names=verbatim(", ".join(offer.schemes))), offer.schemes),
        (_("asks for the name {name}", name=verbatim(offer.server_name)), offer.server_name),
        (_("asks for the protocols {names}", names=verbatim(", ".join(offer.alpn))), offer.alpn),
    ]
    lines = [_("the hello of {peer}", peer=verbatim(offer.peer)).render(lang)]
    lines += [f"  {row.render(lang)}" for row, there in rows if there]
    lines += _told(offer.findings, "  ", lang)
    return "\n".join(lines) + "\n"
