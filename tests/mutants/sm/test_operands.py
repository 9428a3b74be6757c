"""Carries that are lost for rare operands alone: random vectors do not show them, and those of the operands do."""

from __future__ import annotations

import pytest

from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.judge import VectorResult
from pytest_xinchuang.packages.sm_crypto.runner import run_vectors
from pytest_xinchuang.sandbox.local import local
from pytest_xinchuang.sm import curve
from tests.mutants.sm.defects.operands import Adx, Compared, Ifma, Limbs
from tests.mutants.sm.running import ROOT, command, vectors


@pytest.mark.slow
def test_the_carry_of_an_adx_multiplication_is_not_shown_by_other_vectors() -> None:
    with SmClient(local(command(140), ROOT), timeout_s=60) as client:
        wrong = {
            v.vector.file
            for v in run_vectors(client, vectors("sm2_verify", "sm2_standard")).seen
            if v.result is VectorResult.FAILED
        }
    assert wrong == set()


@pytest.mark.parametrize("kind", [Limbs, Adx, Compared, Ifma])
def test_a_subject_of_limbs_multiplies_rightly_but_for_its_own_operands(kind: type[Limbs]) -> None:
    point = curve.multiply_base(0x1234567)
    for k in (0xFEDCBA9876543210FEDCBA9876543211, 1 << 200 | 5):
        assert kind().multiply(k, point) == curve.multiply(k, point)
