"""Whether a certificate names a host (RFC 9525, with the IP addresses of RFC 5280 4.2.1.6)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from pytest_xinchuang.packages.sm_crypto.certificates import Certificate
from pytest_xinchuang.packages.sm_crypto.tls.hello import in_ascii, is_address


@dataclass(frozen=True)
class Names:
    """The names of a certificate.

    Attributes:
        hosts, addresses: of SubjectAltName.
        common: the Common Name, which names a host only where there is no other name, and for old clients alone.
    """

    hosts: tuple[str, ...]
    addresses: tuple[str, ...]
    common: str

    @property
    def told(self) -> str:
        return ", ".join([*self.hosts, *self.addresses]) or self.common or "-"

    @property
    def alternative(self) -> bool:
        return bool(self.hosts or self.addresses)

    def fit(self, host: str) -> bool:
        """Whether SubjectAltName has a host's name or address."""
        if is_address(host):
            wanted = ipaddress.ip_address(host.partition("%")[0])
            return any(_same_address(wanted, address) for address in self.addresses)
        return any(_fits(name, in_ascii(host)) for name in self.hosts)

    def fit_common(self, host: str) -> bool:
        """Whether the Common Name has it."""
        if is_address(host):
            return self.common == host
        return _fits(self.common, in_ascii(host))


def names_of(certificate: Certificate) -> Names:
    """The names of a certificate; ones that cannot be read are none."""
    hosts: list[str] = []
    addresses: list[str] = []
    common = ""
    try:
        value = certificate.asn1.subject_alt_name_value
        for name in value or ():
            if name.name == "dns_name":
                hosts.append(str(name.native))
            elif name.name == "ip_address":
                addresses.append(str(name.native))
        found = certificate.asn1.subject.native.get("common_name", "")
        common = found if isinstance(found, str) else str(found[-1]) if found else ""
    except (ValueError, TypeError, LookupError, AttributeError):
        pass
    return Names(tuple(hosts), tuple(addresses), common)


def _same_address(wanted: ipaddress.IPv4Address | ipaddress.IPv6Address, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) == wanted
    except ValueError:
        return False


def _fits(pattern: str, host: str) -> bool:
    """A name with at most one ``*``, which is the whole of its first label, and stands for one label (RFC 9525 6.3)."""
    star, dot, rest = pattern.partition(".")
    if star != "*":
        return bool(host) and in_ascii(pattern) == host
    # A star right below a top-level domain would be for everybody's names.
    first, _dot, behind = host.partition(".")
    return bool(dot and first and "." in rest) and in_ascii(rest) == behind
