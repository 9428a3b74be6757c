from old import lib

if lib.f(1, 2) != (1, 2):
    raise ValueError("a value is missing")
