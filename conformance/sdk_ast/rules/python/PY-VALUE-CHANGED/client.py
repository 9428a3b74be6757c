from old import lib

lib.C
