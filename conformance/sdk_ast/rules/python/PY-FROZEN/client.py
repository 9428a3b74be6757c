from old import lib

lib.A().x = 2
