from old import lib

print(lib.f()[0])
