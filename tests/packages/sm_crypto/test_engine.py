"""From what a harness answers to decisions; and harnesses that want a better one than they deserve."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.needs import InOrder
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.packages.sm_crypto import requirements as ids
from pytest_xinchuang.packages.sm_crypto.judge import VectorResult
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder
from tests.packages.sm_crypto.conftest import ROOT, LocalEngine

pytestmark = pytest.mark.tools

OPENSSL = ROOT / "fixtures" / "subjects" / "openssl"
REFERENCE = """
import json, sys
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, serve
class Liar(ReferenceHarness):
    pass
"""


def engine(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool, body: str = "", **fields: Any
) -> LocalEngine:
    script = tmp_path / "harness.py"
    script.write_text(f"{REFERENCE}\n{body}\nserve(Liar(), sys.stdin.buffer, sys.stdout.buffer)\n")
    made = LocalEngine(
        platforms.select(["kunpeng"])[0], load_subject(OPENSSL), catalogue, pool, Builder(pool.store.cache), **fields
    )
    made.command = [sys.executable, str(script)]
    return made


def decide(made: LocalEngine, *ids: str) -> list[Decision]:
    order = InOrder(made.catalogue, made.decision)
    try:
        return [order.decision(i) for i in ids]
    finally:
        made.close()


VECTORS = (
    "XC-SM-002",
    "XC-SM-003",
    "XC-SM-004",
    "XC-SM-010",
    "XC-SM-011",
    "XC-SM-012",
    "XC-SM-013",
    "XC-SM-014",
    "XC-SM-015",
    "XC-SM-016",
    "XC-SM-017",
    "XC-SM-018",
    "XC-SM-019",
    "XC-SM-020",
    "XC-SM-021",
    "XC-SM-022",
    "XC-SM-023",
    "XC-SM-024",
    "XC-SM-025",
    "XC-SM-030",
    "XC-SM-031",
    "XC-SM-035",
    "XC-SM-037",
)


@pytest.mark.slow
def test_the_reference_passes_everything(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    made = engine(tmp_path, platforms, catalogue, pool)
    names = ("XC-SM-001", *VECTORS, "XC-SM-032", "XC-SM-034", "XC-SM-043", "XC-SM-044")
    decisions = dict(zip(names, decide(made, *names), strict=True))
    assert {i: d.reason for i, d in decisions.items() if d.verdict is not Verdict.PASS} == {}
    assert all(d.evidence and d.fidelity is Fidelity.EMULATED_USER for d in decisions.values())


def test_what_needs_a_board_says_so(tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool) -> None:
    for decision in decide(engine(tmp_path, platforms, catalogue, pool), "XC-SM-040", "XC-SM-041", "XC-SM-042"):
        assert (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.FIDELITY)


def test_natively_floors_are_measured(tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool) -> None:
    manifest = yaml.safe_load((OPENSSL / "xinchuang.yaml").read_text())
    del manifest["units"], manifest["sm_crypto"]["tls"]
    manifest["sm_crypto"]["harness"]["sources"] = ["h.c"]
    (tmp_path / "h.c").write_text("")
    for floor, verdict in ((0.0001, Verdict.PASS), (1e6, Verdict.FAIL)):
        manifest["sm_crypto"]["floors"] = {"sm3": floor}
        (tmp_path / "xinchuang.yaml").write_text(yaml.safe_dump(manifest))
        body = "class Fast:\n    def __init__(self, d=b''): pass\n    def update(self, d): pass\n"
        body += "    def digest(self): return bytes(32)\n"
        made = engine(tmp_path, platforms, catalogue, pool, body + "Liar.sm3_type = Fast")
        made.subject, made.level = load_subject(tmp_path), Fidelity.NATIVE
        (decision,) = decide(made, "XC-SM-042")
        assert (decision.verdict, decision.fidelity) == (verdict, Fidelity.NATIVE), decision


def test_a_subject_without_sm_crypto(tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool) -> None:
    (tmp_path / "u.sh").write_text("echo")
    (tmp_path / "xinchuang.yaml").write_text(
        "schema: xc-subject/1\nname: x\nversion: '1'\nunits: [{name: u, kind: shell, sources: [u.sh]}]\n"
    )
    made = engine(tmp_path, platforms, catalogue, pool)
    made.subject = load_subject(tmp_path)
    for decision in decide(made, "XC-SM-001", "XC-SM-004", "XC-SM-040"):
        assert decision.verdict is Verdict.NOT_APPLICABLE and decision.evidence


def hello(change: str) -> str:
    return f"""
def hello(self):
    said = ReferenceHarness.hello(self)
    {change}
    return said
Liar.hello = hello
"""


@pytest.mark.parametrize(
    ("body", "requirement", "verdict", "what"),
    [
        # It says that it does no bad signature: there is nothing left that could fail.
        (
            hello("said['operations']['sm2_verify']['sig'] = []"),
            "XC-SM-019",
            Verdict.INCONCLUSIVE,
            "none of",
        ),
        # It takes only what is in the standard.
        (
            hello("said['operations']['sm2_decrypt'] = {'encoding': ['raw'], 'msg_bytes': [116, 116]}"),
            "XC-SM-022",
            Verdict.INCONCLUSIVE,
            "none of",
        ),
        # It has said that it does it, and then does not.
        (
            "Liar.op_sm2_verify = lambda self, r: {'unsupported': 'not today'}",
            "XC-SM-019",
            Verdict.FAIL,
            "declared supported in its hello",
        ),
        (
            "Liar.op_sm2_verify = lambda self, r: {'valid': True}",
            "XC-SM-019",
            Verdict.FAIL,
            "expected a refusal",
        ),
        (
            "Liar.op_sm2_verify = lambda self, r: {'valid': False}",
            "XC-SM-019",
            Verdict.FAIL,
            "expected valid True",
        ),
        (
            "Liar.op_sm2_verify = lambda self, r: {}",
            "XC-SM-019",
            Verdict.FAIL,
            "got none",
        ),
        # No algorithm of this kind: that is said, and not passed.
        (
            hello("[said['operations'].pop(o) for o in list(said['operations']) if o.startswith('sm4')]"),
            "XC-SM-013",
            Verdict.NOT_APPLICABLE,
            "does not offer operation sm4",
        ),
        (
            hello("said['operations'].pop('concurrent')"),
            "XC-SM-032",
            Verdict.INCONCLUSIVE,
            "several threads cannot be tested",
        ),
        (hello("said['default_id'] = ''"), "XC-SM-025", Verdict.FAIL, "expected a refusal, got valid True"),
        ("Liar.op_self_test = lambda self, r: {'passed': False}", "XC-SM-043", Verdict.FAIL, "self-test did not pass"),
        (hello("said['operations'].pop('self_test')"), "XC-SM-043", Verdict.NOT_APPLICABLE, "self_test"),
        ("import os\nos._exit(5)", "XC-SM-001", Verdict.FAIL, "ended before its hello: exit code 5"),
        ("import os\nos._exit(5)", "XC-SM-019", Verdict.NOT_TESTED, "XC-SM-001"),
        (hello("said['hello'] = 'xc-sm-harness/9'"), "XC-SM-001", Verdict.FAIL, "not a hello"),
    ],
)
def test_liars(
    tmp_path: Path,
    platforms: Platforms,
    catalogue: Catalogue,
    pool: Pool,
    body: str,
    requirement: str,
    verdict: Verdict,
    what: str,
) -> None:
    made = engine(tmp_path, platforms, catalogue, pool, body)
    made.__dict__["loaded"] = [
        one for one in made.loaded if one.name in ("sm2_verify", "sm2_decrypt", "sm2_default_id", "sm4_ecb", "sm3")
    ]
    (decision,) = decide(made, requirement)
    assert decision.verdict is verdict, decision
    assert what in decision.reason


@pytest.mark.parametrize(
    ("body", "verdict", "what"),
    [
        # What it has not at all could not have failed.
        ("[said['operations'].pop(o) for o in ('hkdf_sm3', 'pbkdf2_sm3')]", Verdict.PASS, ""),
        # What it has it leaves out where it could have failed.
        ("said['operations'].pop('pbkdf2_sm3'); said['operations']['hkdf_sm3'] = {'size': [1, 8160]}",
         Verdict.INCONCLUSIVE, "none of the 6 invalid vectors"),
    ],
)  # fmt: skip
def test_an_operation_that_is_left_out_whole(
    tmp_path: Path,
    platforms: Platforms,
    catalogue: Catalogue,
    pool: Pool,
    body: str,
    verdict: Verdict,
    what: str,
) -> None:
    made = engine(tmp_path, platforms, catalogue, pool, hello(body))
    made.__dict__["loaded"] = [
        one for one in made.loaded if one.name in ("hkdf_sm3_limits", "pbkdf2_sm3_limits", "x963kdf_sm3")
    ]
    (decision,) = decide(made, "XC-SM-012")
    assert decision.verdict is verdict, decision
    assert what in decision.reason


ONCE = """
import os, signal, time
asked = 0
handle = ReferenceHarness.handle
def once(self, request):
    global asked
    asked += 1
    if asked == 20 and not os.path.exists({mark!r}):
        open({mark!r}, "w").close()
        {end}
    return handle(self, request)
Liar.handle = once
"""


@pytest.mark.parametrize(
    ("end", "verdict", "what"),
    [
        # What is said on stderr decides nothing: it is the subject's own.
        ("print('SIGSEGV in worker', file=sys.stderr); os.abort()", Verdict.FAIL, "SIGABRT"),
        ("print('watchdog would send SIGKILL', file=sys.stderr); os.abort()", Verdict.FAIL, "would send SIGKILL"),
        ("print('no reply for 9 s', file=sys.stderr); os._exit(3)", Verdict.FAIL, "exit code 3"),
        # What a full or a slow host does as well is nobody's.
        ("os.kill(os.getpid(), signal.SIGKILL)", Verdict.INCONCLUSIVE, "SIGKILL"),
        ("time.sleep(60)", Verdict.INCONCLUSIVE, "no reply for"),
    ],
)
def test_a_harness_that_ends_once_under_many_requests(
    tmp_path: Path,
    platforms: Platforms,
    catalogue: Catalogue,
    pool: Pool,
    end: str,
    verdict: Verdict,
    what: str,
) -> None:
    made = engine(tmp_path, platforms, catalogue, pool, ONCE.format(mark=str(tmp_path / "mark"), end=end))
    made.timeout_s = 3.0 if "sleep" in end else 20.0
    made.__dict__["loaded"] = [one for one in made.loaded if one.name in ("sm3", "sm2_robustness")]
    (decision,) = decide(made, ids.SURVIVES)
    assert decision.verdict is verdict and what in decision.reason, decision


def test_a_sandbox_that_breaks_under_the_last_vectors_is_no_pass(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    """What was in flight is undecided: it was neither answered nor left out."""
    made = engine(tmp_path, platforms, catalogue, pool)
    made.__dict__["loaded"] = [one for one in made.loaded if one.name == "sm3"]
    client = made.client()
    assert client.hello
    running = client._running
    assert running is not None
    count = len([v for v in made._default if not client.hello.lacks({"op": "sm3"})])

    def broken() -> Any:
        raise SandboxFault(verbatim("killed from outside"))

    received = 0
    receive = running.receive

    def some(timeout_s: float) -> list[bytes] | None:
        nonlocal received
        lines = receive(timeout_s)
        if lines is None or received + len(lines) > count - 3:
            return None
        received += len(lines)
        return lines

    running.receive, running.ended = some, broken  # type: ignore[method-assign]
    result = made.run
    assert result.count()[VectorResult.UNDECIDED] >= 3
    (decision,) = decide(made, result.seen[0].vector.requirement)
    assert decision.verdict is Verdict.INCONCLUSIVE, decision


def test_vectors_of_another_directory_count(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    from tests.packages.sm_crypto.test_vectors import SMALL

    own = tmp_path / "own"
    own.mkdir()
    wrong = yaml.safe_load(yaml.safe_dump(SMALL))
    wrong["testGroups"][0]["tests"][0]["tag"] = "00" * 16
    import json

    (own / "sm4_gcm_test.json").write_text(json.dumps(wrong))
    made = engine(tmp_path, platforms, catalogue, pool, extra=own)
    made.__dict__["loaded"] = [one for one in made.loaded if "sm4_gcm" in one.name]
    (decision,) = decide(made, "XC-SM-015")
    assert decision.verdict is Verdict.FAIL and "own:sm4_gcm/1" in decision.reason
