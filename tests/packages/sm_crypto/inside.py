"""A harness in this very process: what it answers is changed by a test, and nothing is started."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.protocol import SmHello
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, Reply, Request

Handle = Callable[[ReferenceHarness, Request], Reply]


class Inside:
    """As much of a client as the runner needs.

    Args:
        handle: answers in the place of the reference, which it is given.
        hello: fields of the hello that are otherwise.
    """

    def __init__(self, handle: Handle = ReferenceHarness.handle, **hello: Any) -> None:
        self.harness, self.answers = ReferenceHarness(), handle
        self.hello = SmHello.model_validate({**self.harness.hello(), **hello})
        self.crashes: list[Any] = []
        self.violations: list[Any] = []
        self.restarts = 0

    def run(self, requests: Iterable[tuple[Any, Request]]) -> Iterator[tuple[Any, Answer]]:
        for tag, request in requests:
            yield tag, Answer(ReplyKind.REPLY, self.answers(self.harness, dict(request)))


def inside(handle: Handle = ReferenceHarness.handle, **hello: Any) -> SmClient:
    """The same as the client that it stands for."""
    return cast(SmClient, Inside(handle, **hello))
