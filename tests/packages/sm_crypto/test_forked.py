"""Generators whose state a forked process has too, through the templates in Python and in C, and their good twins."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.generate import oracles
from pytest_xinchuang.core.found import Found
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.nonces import check_nonces
from pytest_xinchuang.packages.sm_crypto.randomness import check_randomness
from pytest_xinchuang.sandbox.local import local
from tests.packages.sm_crypto.conftest import ROOT

PYTHON = """
import os, random, sys
sys.path[:0] = [{wire!r}]
from wire import serve
from pytest_xinchuang.sm.curve import N, multiply_base
from pytest_xinchuang.sm.sm2 import Sm2

sm2, generator = Sm2(), random.Random(os.urandom(32))
{more}
def draw():
    return generator.randrange(1, N - 1)
def keygen(request):
    d = draw()
    return dict(private=d.to_bytes(32), public=sm2.encode_point(multiply_base(d)))
def sign(request):
    d = int.from_bytes(request.bytes("private"))
    digest = sm2.digest(request.bytes("user_id"), multiply_base(d), request.bytes("msg"))
    return dict(sig=sm2.encode_signature(*sm2.sign_digest(d, digest, draw()), "raw"))
def encrypt(request):
    point = sm2.decode_point(request.bytes("public"))
    return dict(ct=sm2.encode_ciphertext(*sm2.encrypt(point, request.bytes("msg"), draw()), "raw", "c1c3c2"))
operations = dict(sm2_keygen=keygen, sm2_sign=sign, sm2_encrypt=encrypt)
raw = dict(encoding=["raw"])
serve("own generator", "1", operations, dict(sm2_sign=raw, sm2_encrypt=raw))
"""
RESEEDED = "os.register_at_fork(after_in_child=lambda: generator.seed(os.urandom(32)))"

C = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
typedef struct {{
    int (*seed)(const void *, int), (*bytes)(unsigned char *, int);
    void (*cleanup)(void);
    int (*add)(const void *, int, double), (*pseudorand)(unsigned char *, int), (*status)(void);
}} method;
int RAND_set_rand_method(const method *);
static uint64_t state;
static pid_t owner;
static void seed(void);
/* splitmix64 (Steele, Lea, Flood 2014): good enough for the eye. */
static int draw(unsigned char *out, int size) {{
    {more}
    for (int n = 0; n < size; n++) {{
        uint64_t z = __atomic_add_fetch(&state, 0x9e3779b97f4a7c15, __ATOMIC_SEQ_CST);
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        out[n] = (unsigned char)(z >> 56);
    }}
    return 1;
}}
static int ready(void) {{ return 1; }}
static void seed(void) {{
    FILE *source = fopen("/dev/urandom", "rb");
    if (!source || fread(&state, 8, 1, source) != 1) abort();
    fclose(source);
    owner = getpid();
}}
__attribute__((constructor)) static void start(void) {{
    static const method own = {{NULL, draw, NULL, NULL, draw, ready}};
    seed();
    RAND_set_rand_method(&own);
}}
"""
LOOKS_AT_ITS_PID = "if (owner != getpid()) seed();"

Template = Callable[[Path, str], list[str]]
KEYS = "a forked process draws the random numbers of its parent"
SIGNATURES = "a forked process signs with the k of its parent"

pytestmark = pytest.mark.tools


def screened(command: list[str]) -> tuple[Found, Found]:
    """What is found of keys and encryptions, and what of signatures."""
    with SmClient(local(command, ROOT), timeout_s=20) as client:
        assert "forked" in client.hello.operations
        return check_randomness(client, 300, 40, (10, 10)), check_nonces(client, 200)


def python(tmp_path: Path, more: str) -> list[str]:
    script = tmp_path / "harness.py"
    script.write_text(PYTHON.format(wire=str(oracles.HARNESS / "python"), more=more))
    return [sys.executable, str(script)]


def c(tmp_path: Path, more: str) -> list[str]:
    """The template in C, whose libcrypto draws from a generator of the program's."""
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler and libcrypto")
    for source in (ROOT / "fixtures" / "subjects" / "openssl" / "sm").iterdir():
        shutil.copyfile(source, tmp_path / source.name)
    (tmp_path / "own.c").write_text(C.format(more=more))
    build = ["cc", "-O2", "harness.c", "json.c", "own.c", "-o", "harness", "-l:libcrypto.so.3", "-lpthread"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    if "cannot find" in done.stderr:
        pytest.skip(done.stderr[-300:])
    assert not done.returncode, done.stderr
    return [str(tmp_path / "harness")]


@pytest.mark.parametrize("template", [python, c])
def test_a_copied_generator_is_caught_by_its_name(tmp_path: Path, template: Template) -> None:
    keys, signatures = screened(template(tmp_path, ""))
    assert len(keys.wrong) == 1 and KEYS in keys.wrong[0], keys
    assert len(signatures.wrong) == 1 and SIGNATURES in signatures.wrong[0], signatures


@pytest.mark.parametrize(("template", "more"), [(python, RESEEDED), (c, LOOKS_AT_ITS_PID)])
def test_a_generator_that_is_seeded_in_the_copy_passes(tmp_path: Path, template: Template, more: str) -> None:
    for found in screened(template(tmp_path, more)):
        assert not found.wrong and not found.undecided and not found.lacking, found
        (forked,) = [one for one in found.evidence if one["kind"] == "forked"]
        assert forked["offered"]


@pytest.mark.parametrize("template", [python, c])
def test_what_is_asked_of_two_processes_is_answered_twice_and_the_next_request_once(
    tmp_path: Path, template: Template
) -> None:
    both = {"id": 1, "op": "forked", "requests": [{"op": "sm2_keygen"}, {"op": "no_such"}]}
    lines = [both, {"id": 2, "op": "sm2_keygen"}]
    asked = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run(template(tmp_path, ""), cwd=ROOT, input=asked, capture_output=True, text=True, check=True)
    _hello, first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["id"] == 1 and [set(one) for one in first["parent"]] == [{"private", "public"}, {"unsupported"}]
    assert [set(one) for one in first["child"]] == [{"private", "public"}, {"unsupported"}]
    assert second["id"] == 2 and set(second) == {"id", "private", "public"}
