from old import lib

lib.f('a', 'b')
