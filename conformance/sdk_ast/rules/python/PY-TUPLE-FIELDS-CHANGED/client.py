from old import lib

x, y = lib.P()
