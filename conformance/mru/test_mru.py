"""Minimum runnable units: each test reads like the requirement it decides; the work is in pytest_xinchuang.packages.mru."""

import pytest


@pytest.mark.xc_requirement("XC-MRU-004")
def test_units_build_for_the_platform(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-009")
def test_source_trees_build_for_the_platform(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-001")
def test_objects_are_of_the_right_machine_and_world(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-002")
def test_needed_libraries_are_there(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-003")
def test_no_symbol_is_newer_than_the_platform(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-005")
def test_units_load_and_start(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-006")
def test_units_answer(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-007")
def test_units_end_within_their_limit(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-008")
def test_artifacts_can_be_loaded(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-010")
def test_output_is_the_known_answer(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-011")
def test_output_is_the_same_as_on_x86_64(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-012")
def test_only_allowed_libraries_are_needed(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-013")
def test_instructions_are_within_the_cpu_baseline(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-014")
def test_segments_are_aligned_to_the_page_size(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-015")
def test_artifacts_fit_the_cpu_and_page_size(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-016")
def test_output_is_the_same_under_another_locale_and_time_zone(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-017")
def test_build_flags_fit(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-020")
def test_children_work(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-021")
def test_threads_work(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-022")
def test_thread_local_variables_work(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-023")
def test_signals_work(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-024")
def test_libraries_opened_at_run_time_work(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-025")
def test_a_right_path_is_taken_on_a_poorer_cpu(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-026")
def test_no_network_is_needed(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-027")
def test_nothing_is_written_outside_its_place(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-028")
def test_no_process_is_left_behind(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-029")
def test_artifacts_have_no_known_failure_at_run_time(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-030")
def test_the_cpu_vendors_name_does_not_matter(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-031")
def test_scripts_work_under_the_systems_identity(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-032")
def test_installers_choose_the_right_files(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-033")
def test_the_platforms_system_calls_suffice(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-040")
def test_start_up_is_within_budget(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-041")
def test_it_works_with_the_real_page_size(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-MRU-042")
def test_builds_are_reproducible(xc_check):
    xc_check.decide()
