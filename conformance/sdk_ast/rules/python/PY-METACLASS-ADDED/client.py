from old import lib

lib.A()
