"""Known-bad subjects of random numbers and of threads."""

from __future__ import annotations

import itertools
import os
import random
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, Reply, Request
from pytest_xinchuang.sm.curve import N, Point
from pytest_xinchuang.sm.sm2 import Sm2
from pytest_xinchuang.sm.sm3 import sm3
from pytest_xinchuang.sm.sm4 import Sm4
from tests.mutants.sm.registry import defect, use_sm2

FEW = ("sm2_standard",)
"""Vector files of the subjects whose defect shows in no vector."""


# -- random numbers


def keys(h: ReferenceHarness, draw: Callable[[], int]) -> None:
    """Have the harness generate keys with these numbers."""

    class Bad(Sm2):
        def generate(self) -> int:
            return draw()

    use_sm2(h, Bad)


def encryption(h: ReferenceHarness, draw: Callable[[], int]) -> None:
    """Have the harness encrypt with these numbers."""

    class Bad(Sm2):
        def encrypt(self, point: Point, msg: bytes, k: int | None = None) -> tuple[Point, bytes, bytes]:
            return super().encrypt(point, msg, draw() if k is None else k)

    use_sm2(h, Bad)


def seeded() -> Callable[[], int]:
    """Numbers that look like random ones, and are the same after each start."""
    generator = random.Random(42)
    return lambda: generator.randrange(1, N - 1)


@defect(190, *FEW)
def constant_key(h: ReferenceHarness) -> None:
    keys(h, lambda: 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8)


@defect(191, *FEW)
def short_key(h: ReferenceHarness) -> None:
    keys(h, lambda: 1 + secrets.randbits(64))


@defect(192, *FEW)
def counter_key(h: ReferenceHarness) -> None:
    numbers = itertools.count(1 + secrets.randbelow(N >> 1))
    keys(h, lambda: next(numbers))


@defect(193, *FEW)
def key_seed(h: ReferenceHarness) -> None:
    keys(h, seeded())


@defect(194, *FEW)
def constant_encryption_k(h: ReferenceHarness) -> None:
    encryption(h, lambda: 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21)


@defect(195, *FEW)
def short_encryption_k(h: ReferenceHarness) -> None:
    encryption(h, lambda: 1 + secrets.randbits(32))


@defect(196, *FEW)
def encryption_seed(h: ReferenceHarness) -> None:
    encryption(h, seeded())


@defect(197, *FEW)
def nonce_of_message(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def sign_digest(self, d: int, digest: bytes, k: int | None = None) -> tuple[int, int]:
            return super().sign_digest(d, digest, int.from_bytes(sm3(digest)) % N if k is None else k)

    use_sm2(h, Bad)


@defect(198, *FEW)
def nonce_of_two_keys(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        """Draws from a generator of its own for each key, and seeds all of them alike."""

        seed = secrets.randbits(256)

        def __init__(self) -> None:
            self.generators: dict[int, random.Random] = {}

        def sign_digest(self, d: int, digest: bytes, k: int | None = None) -> tuple[int, int]:
            generator = self.generators.setdefault(d, random.Random(self.seed))
            return super().sign_digest(d, digest, generator.randrange(1, N) if k is None else k)

    use_sm2(h, Bad)


@defect(199, *FEW)
def nonce_seed(h: ReferenceHarness) -> None:
    draw = seeded()

    class Bad(Sm2):
        def sign_digest(self, d: int, digest: bytes, k: int | None = None) -> tuple[int, int]:
            return super().sign_digest(d, digest, draw() if k is None else k)

    use_sm2(h, Bad)


@defect(209, *FEW)
def forked_generator(h: ReferenceHarness) -> None:
    generator = random.Random(os.urandom(32))
    keys(h, lambda: generator.randrange(1, N - 1))


@defect(404, *FEW)
def forked_nonce(h: ReferenceHarness) -> None:
    generator = random.Random(os.urandom(32))

    class Bad(Sm2):
        def nonce(self) -> int:
            return generator.randrange(1, N)

    use_sm2(h, Bad)


@defect(400, *FEW)
def word_of_k(h: ReferenceHarness) -> None:
    encryption(h, lambda: 1 + secrets.randbits(31) << 160)


@defect(401, *FEW)
def repeated_word_of_k(h: ReferenceHarness) -> None:
    encryption(h, lambda: (1 + secrets.randbits(31)) * sum(1 << at for at in range(0, 256, 32)))


@defect(402, *FEW)
def clock_of_k(h: ReferenceHarness) -> None:
    start = secrets.randbelow(N >> 1)
    encryption(h, lambda: start + time.monotonic_ns() // 100)


@defect(403, *FEW)
def doubled_k(h: ReferenceHarness) -> None:
    numbers = itertools.accumulate(
        itertools.repeat(2), lambda k, two: k * two % N, initial=secrets.randbelow(N - 1) + 1
    )
    encryption(h, lambda: next(numbers))


# -- threads


def race(h: ReferenceHarness, fields: dict[str, tuple[str, ...]]) -> None:
    """Operation -> fields that pass through one place for all threads, for a moment."""
    places: dict[tuple[str, str], Any] = {}
    for name, shared in fields.items():
        good: Callable[[Request], Reply] = getattr(h, f"op_{name}")

        def bad(
            request: Request,
            good: Callable[[Request], Reply] = good,
            name: str = name,
            shared: tuple[str, ...] = shared,
        ) -> Reply:
            kept = [field for field in shared if field in request]
            for field in kept:
                places[name, field] = request[field]
            time.sleep(0.0001)
            return good({**request, **{field: places[name, field] for field in kept}})

        setattr(h, f"op_{name}", bad)


@defect(200, "sm2_sign")
def sign_race(h: ReferenceHarness) -> None:
    race(h, {"sm2_sign": ("msg",)})


@defect(201, "sm2_encrypt", "sm2_rob")
def encrypt_race(h: ReferenceHarness) -> None:
    race(h, {"sm2_encrypt": ("msg",)})


@defect(202, "sm2_exchange")
def exchange_race(h: ReferenceHarness) -> None:
    race(h, {"sm2_exchange": ("ephemeral",)})


@defect(203, "sm4_cfb")
def feedback_race(h: ReferenceHarness) -> None:
    race(h, {"sm4_cfb_encrypt": ("iv",), "sm4_cfb_decrypt": ("iv",)})


@defect(204, "sm4_ofb")
def output_race(h: ReferenceHarness) -> None:
    race(h, {"sm4_ofb_encrypt": ("iv",), "sm4_ofb_decrypt": ("iv",)})


@defect(205, "sm4_xts")
def tweak_race(h: ReferenceHarness) -> None:
    race(h, {"sm4_xts_encrypt": ("iv",), "sm4_xts_decrypt": ("iv",)})


@defect(206, "sm4_ccm")
def ccm_race(h: ReferenceHarness) -> None:
    race(h, {"sm4_ccm_encrypt": ("iv",), "sm4_ccm_decrypt": ("iv",)})


@defect(207, "hkdf", "pbkdf2", "x963")
def kdf_race(h: ReferenceHarness) -> None:
    race(h, {"hkdf_sm3": ("ikm",), "pbkdf2_sm3": ("salt",), "x963kdf_sm3": ("secret",)})


@defect(208, "sm4_cbc", "sm4_cfb", "sm4_ccm")
def shared_object(h: ReferenceHarness) -> None:
    class Bad(Sm4):
        def encrypt(self, block: bytes) -> bytes:
            self.block = block
            if threading.active_count() > 1:
                time.sleep(0)
            return super().encrypt(self.block)

    h.sm4_type = Bad
