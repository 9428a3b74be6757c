"""Random numbers of keys, encryptions and signatures: generators whose nature is known, bad ones and their good twins."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.nonces import check_nonces, hash_of, public_numbers
from pytest_xinchuang.packages.sm_crypto.randomness import check_randomness
from pytest_xinchuang.packages.sm_crypto.smallness import Multiples
from pytest_xinchuang.sandbox.local import local
from pytest_xinchuang.sm.curve import N, multiply_base
from pytest_xinchuang.sm.sm3 import sm3
from tests.packages.sm_crypto.conftest import ROOT

HARNESS = """
import hashlib, hmac, itertools, os, random, secrets, sys, threading
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, serve
from pytest_xinchuang.sm.curve import N
from pytest_xinchuang.sm.sm2 import Sm2
def each_once(bits):
    # Of numbers so few two would be the same in one run of a hundred, and a C1 that repeats is told alone.
    return iter(random.sample(range(1, 1 << bits), 2000))
class Kind(Sm2):
{body}
class Harness(ReferenceHarness):
    def hello(self):
        said = super().hello()
        {hello}
        return said
harness = Harness()
harness.sm2 = Kind()
serve(harness, sys.stdin.buffer, sys.stdout.buffer)
"""

DETERMINISTIC = """
    def sign_digest(self, d, digest, k=None):
        if k is None:
            k = int.from_bytes(hmac.digest(d.to_bytes(32), digest, "sha256")) % (N - 1) + 1
        return super().sign_digest(d, digest, k)
"""
OF_ONE_SECRET = """
    def sign_digest(self, d, digest, k=None):
        if k is None:
            k = int.from_bytes(hmac.digest(b"one secret for all keys", digest, "sha256")) % (N - 1) + 1
        return super().sign_digest(d, digest, k)
"""
SEEDED_NONCE = """
    generator = random.Random(7)
    def nonce(self):
        return self.generator.randrange(1, N)
"""
OWN_GENERATOR = """
    generator = random.Random(os.urandom(32))
    def generate(self):
        return self.generator.randrange(1, N - 1)
    def nonce(self):
        return self.generator.randrange(1, N)
"""
ENCRYPTS_THE_SAME = """
    def encrypt(self, point, msg, k=None):
        if k is None:
            secret = hmac.digest(b"secret", self.encode_point(point) + msg, "sha256")
            k = int.from_bytes(secret) % (N - 1) + 1
        return super().encrypt(point, msg, k)
"""
HASH_ENCRYPTS = """
    turn = itertools.count()
    def encrypt(self, point, msg, k=None):
        if k is None and next(self.turn) == 3:
            k = int.from_bytes(hashlib.sha256(msg).digest()) % N
        return super().encrypt(point, msg, k)
"""
STEPS = """
    turn = itertools.count(secrets.randbelow(N >> 1), 1 << 200)
    def encrypt(self, point, msg, k=None):
        return super().encrypt(point, msg, k or next(self.turn))
"""
NEAR = """
    base = secrets.randbelow(N >> 1)
    draws = each_once(19)
    def encrypt(self, point, msg, k=None):
        return super().encrypt(point, msg, k or self.base + next(self.draws))
"""
UPPER_WORD = """
    draws = each_once(20)
    def encrypt(self, point, msg, k=None):
        return super().encrypt(point, msg, k or next(self.draws) << 192)
"""
WORD_OVER_AND_OVER = """
    draws = each_once(20)
    def encrypt(self, point, msg, k=None):
        return super().encrypt(point, msg, k or next(self.draws) * int("00000001" * 8, 16))
"""
CLOCK = """
    start = secrets.randbelow(N >> 1)
    def encrypt(self, point, msg, k=None):
        self.start += 1 + secrets.randbelow(1 << 19)
        return super().encrypt(point, msg, k or self.start)
"""
BELOW_N = """
    turn = itertools.count()
    def encrypt(self, point, msg, k=None):
        if k is None and next(self.turn) == 30:
            k = N - 1 - secrets.randbits(9)
        return super().encrypt(point, msg, k)
"""
DOUBLED = """
    last = secrets.randbelow(N)
    def encrypt(self, point, msg, k=None):
        self.last = self.last * 3 % N
        return super().encrypt(point, msg, k or self.last)
"""
HALVED = """
    last = secrets.randbelow(N)
    def encrypt(self, point, msg, k=None):
        self.last = self.last * pow(-2, -1, N) % N
        return super().encrypt(point, msg, k or self.last)
"""
SIXTY_FOUR_BITS = """
    def encrypt(self, point, msg, k=None):
        return super().encrypt(point, msg, k or 1 + secrets.randbits(64))
"""
ONE_SEED = """
    generator = random.Random(7)
    def generate(self):
        return self.generator.randrange(1, N - 1)
    def encrypt(self, point, msg, k=None):
        return super().encrypt(point, msg, k or self.generator.randrange(1, N - 1))
"""
THREADS_ALIKE = """
    own = threading.local()
    def generate(self):
        if threading.current_thread() is threading.main_thread():
            return super().generate()
        if not hasattr(self.own, "generator"):
            self.own.generator = random.Random(os.getpid())
        return self.own.generator.randrange(1, N - 1)
"""
PLAIN = """
    pass
"""


def screened(tmp_path: Path, body: str, hello: str = "pass", *, signing: bool = False) -> Found:
    script = tmp_path / "harness.py"
    script.write_text(HARNESS.format(body=body.strip("\n"), hello=hello))
    with SmClient(local([sys.executable, str(script)], ROOT), timeout_s=20) as client:
        return check_nonces(client, 200) if signing else check_randomness(client, 300, 40, (10, 10))


@pytest.mark.tools
@pytest.mark.parametrize(
    ("body", "what"),
    [
        (ENCRYPTS_THE_SAME, "C1 repeats"),
        (HASH_ENCRYPTS, "the k of an encryption is SHA-256(M)"),
        (STEPS, "C1 goes up by a step"),
        (NEAR, "the k of two encryptions differ by"),
        (CLOCK, "the k of two encryptions differ by"),
        (BELOW_N, "the k of an encryption is -0x"),
        (UPPER_WORD, "from bit 192 on, and zeros"),
        (WORD_OVER_AND_OVER, "eight times over"),
        (DOUBLED, "a small multiple of the one before"),
        (HALVED, "a small multiple of the one before"),
        (ONE_SEED, "after a start the same random numbers come again"),
        (THREADS_ALIKE, "threads draw the same random numbers"),
        (OWN_GENERATOR, "a forked process draws the random numbers of its parent"),
    ],
)
def test_bad_random_numbers_are_seen(tmp_path: Path, body: str, what: str) -> None:
    found = screened(tmp_path, body)
    assert any(what in text for text in found.wrong), found


@pytest.mark.tools
@pytest.mark.parametrize(
    ("body", "hello"),
    [
        (PLAIN, "pass"),
        (OWN_GENERATOR, "del said['operations']['forked']"),
        (PLAIN, "del said['operations']['sm2_encrypt'], said['operations']['concurrent']"),
        (PLAIN, "del said['operations']['sm2_keygen']"),
        (PLAIN, "said['operations']['sm2_encrypt'] = {'encoding': ['raw'], 'order': ['c1c2c3']}"),
    ],
)
def test_good_random_numbers_pass(tmp_path: Path, body: str, hello: str) -> None:
    found = screened(tmp_path, body, hello)
    assert not found.wrong and not found.undecided and not found.lacking and found.evidence, found


@pytest.mark.tools
@pytest.mark.parametrize(
    ("hello", "body", "what"),
    [
        ("pass", "    def generate(self):\n        raise ValueError('no')", "no key: ValueError: no"),
        ("pass", "    def encrypt(self, *a):\n        raise ValueError('no')", "no ciphertext: ValueError: no"),
        ("pass", "    def generate(self):\n        os._exit(3)", "exit code 3"),
    ],
)
def test_a_harness_that_draws_nothing_fails(tmp_path: Path, hello: str, body: str, what: str) -> None:
    assert any(what in text for text in screened(tmp_path, body, hello).wrong)


@pytest.mark.tools
def test_a_harness_without_the_operations_lacks_them(tmp_path: Path) -> None:
    nothing = "del said['operations']['sm2_keygen'], said['operations']['sm2_encrypt'], said['operations']['sm2_sign']"
    for signing in (False, True):
        found = screened(tmp_path, PLAIN, nothing, signing=signing)
        assert found.lacking and not found.wrong and not found.undecided


@pytest.mark.tools
@pytest.mark.parametrize(
    ("body", "what"),
    [
        (OF_ONE_SECRET, "are the same under two keys"),
        (SEEDED_NONCE, "k comes again"),
    ],
)
def test_bad_nonces_are_seen(tmp_path: Path, body: str, what: str) -> None:
    found = screened(tmp_path, body, signing=True)
    assert any(what in text for text in found.wrong), found


@pytest.mark.tools
@pytest.mark.parametrize("body", [PLAIN, DETERMINISTIC])
@pytest.mark.parametrize(
    "hello", ["pass", "said['operations']['sm2_sign'] = {'encoding': ['raw'], 'input': ['digest']}"]
)
def test_good_nonces_pass(tmp_path: Path, body: str, hello: str) -> None:
    found = screened(tmp_path, body, hello, signing=True)
    assert not found.wrong and not found.undecided, found
    (starts,) = [one for one in found.evidence if one["kind"] == "starts"]
    assert starts["deterministic"] is (body == DETERMINISTIC)


@pytest.mark.tools
def test_a_generator_whose_state_a_fork_copies_is_told_of_that_alone(tmp_path: Path) -> None:
    found = screened(tmp_path, OWN_GENERATOR, signing=True)
    assert [text for text in found.wrong if "forked process" not in text] == [] and found.wrong


def test_hashes_of_the_message_are_known_by_name() -> None:
    msg, digest = b"message", sm3(b"z" + b"message")
    assert hash_of(int.from_bytes(sm3(msg)) % N, msg, digest) == "SM3(M)"
    assert hash_of(int.from_bytes(digest) % (N - 1) + 1, msg, digest) == "e mod (n-1) + 1"
    assert hash_of(int.from_bytes(sm3(b"messagf")) % N, msg, digest) == ""
    assert len(dict(public_numbers(msg, digest))) == 18


@pytest.mark.tools
def test_a_k_of_64_bits_is_beyond_every_table_and_its_docs_say_so(tmp_path: Path) -> None:
    found = screened(tmp_path, SIXTY_FOUR_BITS)
    assert not found.wrong and not found.undecided
    (searched,) = [one for one in found.evidence if one["kind"] == "small k"]
    assert searched["bits"] < 64
    assert "a k of 64 random bits" in (ROOT / "docs" / "sm-crypto.md").read_text()


def test_small_multiples_are_found_and_no_others() -> None:
    multiples, draw = Multiples(10, 10), random.Random(1)
    assert multiples.bits == 21
    for k in (1, 2, 511, 512, 513, 1023, 1024, 1025, 2048, 2049, 1 << 20, (1 << 21) - 2048, draw.randrange(1 << 20)):
        assert multiples.of(multiply_base(k)) == k
    for k in (N - 1, N - 1024, N - 2048, N - (1 << 20) - 3):
        assert multiples.of(multiply_base(k), negative=True) == k - N
    assert multiples.of(None) == 0
    for k in ((1 << 21) + 1025, draw.randrange(1 << 64), draw.randrange(N)):
        assert multiples.of(multiply_base(k), negative=True) is None
    # The number at the edge of the last step, and the first that no step reaches.
    assert multiples.of(multiply_base(1 << 21)) == 1 << 21
    assert multiples.of(multiply_base(1 << 15), bits=12) is None


def test_words_in_other_places_are_found_and_no_others() -> None:
    multiples, every = Multiples(10, 10), sum(1 << at for at in range(0, 256, 32))
    assert multiples.shaped(multiply_base(0x12345 << 96), 1 << 96) == 0x12345
    assert multiples.shaped(multiply_base(0x12345 << 96), 1 << 64) is None
    assert multiples.shaped(multiply_base(0x12345 * every), every) == 0x12345
    assert multiples.shaped(multiply_base(0x12345 * every + 1), every) is None


def test_points_that_are_near_another_one_are_found_and_no_others() -> None:
    multiples = Multiples(10, 10)
    far = [multiply_base(n << 100) for n in range(1, 9)]
    assert multiples.apart(far) is None
    assert multiples.apart([*far, multiply_base((3 << 100) + 1025)]) is None
    assert multiples.apart([*far, multiply_base((3 << 100) + 1024)]) == 1024
    assert [multiples.at_once(multiply_base(k)) for k in (1024, N - 1024, 1025)] == [1024, -1024, None]
