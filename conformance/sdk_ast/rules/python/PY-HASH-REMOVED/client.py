from old import lib

print({lib.A()})
