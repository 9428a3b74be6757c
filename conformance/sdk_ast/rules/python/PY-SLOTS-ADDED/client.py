from old import lib

lib.A().y = 1
