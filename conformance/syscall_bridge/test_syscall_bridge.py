"""Bridges to the kernel: each test reads like its requirement; the work is in pytest_xinchuang.packages.syscall_bridge."""

import pytest


@pytest.mark.xc_requirement("XC-SYS-001")
def test_the_harness_starts(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-002")
def test_every_call_is_there(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-010")
def test_numbers_are_those_of_the_architecture(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-011")
def test_structures_are_laid_out_as_the_kernels(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-012")
def test_go_structures_are_laid_out_as_the_kernels(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-020")
def test_errors_are_the_specified_ones(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-021")
def test_descriptors_live_as_they_should(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-022")
def test_reads_and_writes_are_whole(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-023")
def test_files_are_told_truly(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-024")
def test_processes_start_and_end(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-025")
def test_memory_does_what_it_says(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-026")
def test_waiting_and_sockets(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-027")
def test_time_is_kept(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-030")
def test_pages_of_the_platform(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SYS-031")
def test_clocks_of_the_machine(xc_check):
    xc_check.decide()
