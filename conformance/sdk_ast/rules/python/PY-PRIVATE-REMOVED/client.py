from old import lib

pass
