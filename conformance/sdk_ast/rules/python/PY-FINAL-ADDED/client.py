from old import lib
class Mine(lib.A):
    pass
