"""SM2, SM3 and SM4: vectors, the harness protocol, and what is decided from them."""
