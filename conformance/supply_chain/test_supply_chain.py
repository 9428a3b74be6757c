"""The supply chain: each test reads like the requirement it decides; the work is in pytest_xinchuang.packages.supply_chain."""

import pytest


@pytest.mark.xc_requirement("XC-CHAIN-001")
def test_go_mod_and_go_sum_are_whole(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-010")
def test_go_mod_go_sum_and_modules_txt_agree(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-020")
def test_hashes_are_those_of_what_was_published(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-021")
def test_vendored_files_are_as_published(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-022")
def test_no_replace_leads_astray(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-023")
def test_requirements_are_released_versions(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-024")
def test_requirements_are_on_the_allow_list(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-030")
def test_no_version_is_frozen(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-031")
def test_the_mirror_is_signed_and_whole(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-032")
def test_a_bill_of_materials_is_delivered(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-040")
def test_published_modules_keep_the_rules(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-041")
def test_sources_read_as_they_are_compiled(xc_check):
    xc_check.decide()
