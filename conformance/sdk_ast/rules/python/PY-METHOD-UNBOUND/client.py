from old import lib

lib.A().m(1)
