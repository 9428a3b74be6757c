"""The reference implementation of SM2, SM3 and SM4: plain Python, for vectors, signatures and comparison."""
