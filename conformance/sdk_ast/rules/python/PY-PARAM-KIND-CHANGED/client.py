from old import lib

lib.f(1)
