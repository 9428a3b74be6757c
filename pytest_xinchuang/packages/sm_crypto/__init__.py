"""SM2, SM3 and SM4: vectors, the harness protocol, and the decisions about the SM requirements."""
