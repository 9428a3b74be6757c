from old import lib

lib.f(a=1)
