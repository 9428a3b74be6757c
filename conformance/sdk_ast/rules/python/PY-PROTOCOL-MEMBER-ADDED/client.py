from old import lib
class Mine:
    def a(self):
        pass


if not isinstance(Mine(), lib.P):
    raise TypeError(Mine)
