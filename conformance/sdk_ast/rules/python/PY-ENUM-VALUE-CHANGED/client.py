from old import lib

print(lib.E(1))
