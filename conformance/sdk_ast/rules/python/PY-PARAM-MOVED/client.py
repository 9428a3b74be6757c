from old import lib

assert lib.f(1, 2) == 1
