from old import lib

lib.f()
