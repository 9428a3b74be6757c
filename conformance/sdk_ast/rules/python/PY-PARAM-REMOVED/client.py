from old import lib

lib.f(1, b=2)
