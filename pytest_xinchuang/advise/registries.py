"""What registries of packages say: asked over HTTPS, bounded in time and size, and never where a run is offline."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from pytest_xinchuang.advise.work import Budget
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import Message, _, told, verbatim

TIMEOUT_S = 20
"""Seconds for one answer."""
LARGEST = 64 << 20
"""Bytes of an answer: the largest lists of files that PyPI has are some 10 MiB."""
AT_ONCE = 8
"""Questions in flight."""

T = TypeVar("T")


@dataclass(frozen=True)
class Registry:
    """Asks over HTTPS. Attributes: get: address and headers -> the answer; None: there is no such thing (404, 410)."""

    get: Callable[[str, Mapping[str, str]], bytes | None] = field(default_factory=lambda: fetched)


def fetched(url: str, headers: Mapping[str, str]) -> bytes | None:
    """The answer to a GET; None where there is no such thing.

    Raises:
        HostFault: there was no answer, or not one that can be used.
    """
    if not url.startswith("https://"):
        raise HostFault(_("{url} is not https", url=verbatim(url)))
    request = urllib.request.Request(url, headers=dict(headers))
    try:
        with urllib.request.build_opener().open(request, timeout=TIMEOUT_S) as answer:
            data: bytes = answer.read(LARGEST + 1)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (404, 410):
                return None
            raise HostFault(_("{url} answers {code}", url=verbatim(url), code=error.code)) from error
    except (OSError, ValueError) as error:
        raise HostFault(_("{url}: {why}", url=verbatim(url), why=told(error))) from error
    if len(data) > LARGEST:
        raise HostFault(_("{url} answers with more than {n} bytes", url=verbatim(url), n=LARGEST))
    return data


def asked(names: Iterable[str], ask: Callable[[str], T], budget: Budget) -> dict[str, T | Message]:
    """Name -> what is known of it, or why nothing is; several at once."""

    def one(name: str) -> T | Message:
        if budget.spent:
            return _("there was no time left")
        try:
            return ask(name)
        except HostFault as fault:
            return fault.what

    wanted = list(dict.fromkeys(names))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(wanted, pool.map(one, wanted), strict=True))
