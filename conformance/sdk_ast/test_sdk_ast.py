"""SDKs: each test reads like the requirement it decides; the work is in pytest_xinchuang.packages.sdk_ast."""

import pytest


@pytest.mark.xc_requirement("XC-SDK-001")
def test_the_sdk_builds_for_the_architecture(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SDK-002")
def test_go_vet_has_nothing_to_say(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SDK-003")
def test_the_users_go_is_new_enough(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SDK-004")
def test_what_it_delivers_is_for_the_platform(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SDK-005")
def test_the_users_run_time_is_new_enough(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SDK-010")
def test_the_contract_is_kept(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SDK-011")
def test_the_api_is_the_same_on_every_architecture(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SDK-012")
def test_the_version_says_what_changed(xc_check):
    xc_check.decide()
