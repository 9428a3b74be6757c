from old import lib

print(lib.f() + 1)
