"""Names in certificates: when two are the same (RFC 5280, 7.1), and what name constraints let through (RFC 5280, 4.2.1.10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Rdns = tuple[tuple[tuple[str, str], ...], ...]

_DNS, _EMAIL, _URI, _IP, _DIRECTORY = (
    "dns_name",
    "rfc822_name",
    "uniform_resource_identifier",
    "ip_address",
    "directory_name",
)


def prepared(name: Any) -> Rdns:
    """A name of asn1crypto as it is compared: letter case, white space and the type of string do not count."""
    return tuple(tuple(sorted((p["type"].dotted, p.prepped_value) for p in rdn)) for rdn in name.chosen)


def held(certificate: Any) -> Iterator[tuple[str, Any]]:
    """The names that constraints apply to, each with its form by asn1crypto's word: of the subject and of subjectAltName."""
    if len(certificate.subject.chosen):
        yield _DIRECTORY, certificate.subject
    for rdn in certificate.subject.chosen:
        for part in rdn:
            if part["type"].native == "email_address":
                yield _EMAIL, part["value"].native
    for one in certificate.subject_alt_name_value or ():
        yield one.name, _value(one)


def _value(general: Any) -> Any:
    if general.name in (_DNS, _EMAIL, _URI):
        return general.chosen.contents.decode("latin-1")
    return bytes(general.chosen.contents) if general.name == _IP else general.chosen


class Subtrees:
    """The permitted and the excluded names of one CA."""

    def __init__(self, constraints: Any) -> None:
        self.permitted, self.excluded = (
            [(one["base"].name, _value(one["base"]), _is_plain(one)) for one in constraints[side]]
            if constraints[side]
            else []
            for side in ("permitted_subtrees", "excluded_subtrees")
        )

    def excludes(self, form: str, name: Any) -> bool:
        """Whether a subtree that is excluded has the name in it, or may have it: one that nobody can read is taken for such."""
        return any(f == form and (not plain or within(form, name, base)) for f, base, plain in self.excluded)

    def permits(self, form: str, name: Any) -> bool:
        """Whether the name is in a permitted subtree; where none is of its form, all are permitted."""
        mine = [(base, plain) for f, base, plain in self.permitted if f == form]
        return not mine or any(plain and within(form, name, base) for base, plain in mine)


def _is_plain(subtree: Any) -> bool:
    """Whether a subtree has the minimum 0 and no maximum, as RFC 5280 has all of them."""
    return subtree["minimum"].native == 0 and subtree["maximum"].native is None


def within(form: str, name: Any, base: Any) -> bool:
    """Whether ``name`` lies in the subtree ``base``, both of ``form``. A form that is not known lies in every one."""
    if form == _DNS:
        return _below(name.lower().removeprefix("*.").rstrip("."), base.lower().rstrip("."))
    if form == _EMAIL:
        return _mailbox(name, base)
    if form == _URI:
        return _host(_authority(name), base.lower())
    if form == _IP:
        half = len(base) // 2
        address, mask = base[:half], base[half:]
        return len(name) == half and all(
            n & m == a & m for n, a, m in zip(name, address, mask, strict=True)
        )  # an IPv4 address lies in no subtree of IPv6
    if form == _DIRECTORY:
        inner, outer = prepared(name), prepared(base)
        return inner[: len(outer)] == outer
    return True


def _below(host: str, base: str) -> bool:
    """``base`` itself or a domain below it; with a dot in front only what is below."""
    if base.startswith("."):
        return host.endswith(base)
    return not base or host == base or host.endswith(f".{base}")


def _host(host: str, base: str) -> bool:
    """As for mail and URI: without a dot in front, this very host."""
    return host.endswith(base) if base.startswith(".") else host == base


def _mailbox(name: str, base: str) -> bool:
    local, _at, host = name.rpartition("@")
    if "@" in base:
        wanted, _at, base_host = base.rpartition("@")
        return local == wanted and host.lower() == base_host.lower()
    return _host(host.lower(), base.lower())


def _authority(uri: str) -> str:
    """The host of a URI; empty where it has none."""
    rest = uri.partition("://")[2]
    host = rest.partition("/")[0].rpartition("@")[2]
    return host.partition(":")[0].lower()
