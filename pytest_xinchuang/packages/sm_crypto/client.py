"""The client of SM harnesses."""

from __future__ import annotations

from pytest_xinchuang.harness.client import HarnessClient
from pytest_xinchuang.packages.sm_crypto.protocol import PROTOCOL, SmHello
from pytest_xinchuang.sandbox.protocol import Launch


class SmClient(HarnessClient[SmHello]):
    """One SM harness; see ``HarnessClient``."""

    def __init__(self, launch: Launch, *, timeout_s: float = 10.0, start_timeout_s: float = 30.0) -> None:
        super().__init__(PROTOCOL, launch, timeout_s=timeout_s, start_timeout_s=start_timeout_s)
