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


@pytest.mark.xc_requirement("XC-CHAIN-100")
def test_locks_of_npm_are_whole(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-101")
def test_hashes_of_npm_are_those_of_what_was_published(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-102")
def test_installed_files_of_npm_are_as_published(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-103")
def test_packages_of_npm_are_on_the_allow_list(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-104")
def test_no_package_of_npm_is_frozen(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-110")
def test_locks_of_pypi_are_whole(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-111")
def test_hashes_of_pypi_are_those_of_what_was_published(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-112")
def test_installed_files_of_pypi_are_as_published(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-113")
def test_packages_of_pypi_are_on_the_allow_list(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-114")
def test_no_package_of_pypi_is_frozen(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-120")
def test_locks_of_cargo_are_whole(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-121")
def test_hashes_of_cargo_are_those_of_what_was_published(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-122")
def test_installed_files_of_cargo_are_as_published(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-123")
def test_packages_of_cargo_are_on_the_allow_list(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-124")
def test_no_package_of_cargo_is_frozen(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-130")
def test_locks_of_maven_are_whole(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-131")
def test_hashes_of_maven_are_those_of_what_was_published(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-132")
def test_installed_files_of_maven_are_as_published(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-133")
def test_packages_of_maven_are_on_the_allow_list(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-134")
def test_no_package_of_maven_is_frozen(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-140")
def test_locks_of_conan_and_vcpkg_are_whole(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-141")
def test_hashes_of_conan_and_vcpkg_are_those_of_what_was_published(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-143")
def test_packages_of_conan_and_vcpkg_are_on_the_allow_list(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-144")
def test_no_package_of_conan_and_vcpkg_is_frozen(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-150")
def test_every_image_says_what_it_is_made_of(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-151")
def test_every_base_image_is_named_by_its_digest(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-CHAIN-152")
def test_no_package_of_an_image_is_frozen(xc_check):
    xc_check.decide()
