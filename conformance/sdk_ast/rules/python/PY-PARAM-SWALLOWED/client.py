from old import lib

lib.f(b=2)
