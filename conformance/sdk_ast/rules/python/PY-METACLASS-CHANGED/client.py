from old import lib

len(lib.A)
