from old import lib

lib.VERSION
