"""SM2, SM3 and SM4: each test reads like the requirement it decides; the work is in pytest_xinchuang.packages.sm_crypto."""

import pytest


@pytest.mark.xc_requirement("XC-SM-001")
def test_the_harness_says_what_it_does(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-002")
def test_sm3_sample_values(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-003")
def test_sm4_sample_values(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-004")
def test_sm2_sample_values(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-005")
def test_the_tls_server_shakes_hands(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-010")
def test_sm3_at_every_length(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-011")
def test_hmac_sm3(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-012")
def test_key_derivation(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-013")
def test_sm4_ecb_and_cbc(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-014")
def test_sm4_ctr_ofb_and_cfb(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-015")
def test_sm4_gcm(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-016")
def test_sm4_ccm(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-017")
def test_sm4_xts(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-018")
def test_sm2_keys(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-019")
def test_sm2_verification(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-020")
def test_sm2_signatures(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-021")
def test_sm2_encryption(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-022")
def test_sm2_decryption(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-023")
def test_sm2_key_exchange(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-024")
def test_sm2_certificates(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-025")
def test_the_default_id_is_the_one_that_is_said(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-026")
def test_certificates_of_sm_handshakes(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-030")
def test_parts_give_what_the_whole_gives(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-031")
def test_points_are_checked_at_every_entry(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-032")
def test_concurrent_operations_do_not_touch_one_another(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-033")
def test_nonces_are_random(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-034")
def test_random_inputs_come_back(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-035")
def test_buffers_in_place_and_unaligned(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-036")
def test_results_are_the_same_on_every_cpu(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-037")
def test_no_input_ends_the_program(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-040")
def test_time_does_not_tell_the_private_key(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-041")
def test_refusals_make_no_padding_oracle(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-042")
def test_throughput_is_above_its_floors(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-043")
def test_self_test_passes(xc_check):
    xc_check.decide()


@pytest.mark.xc_requirement("XC-SM-044")
def test_keys_and_encryptions_are_random(xc_check):
    xc_check.decide()
