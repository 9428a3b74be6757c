def deprecated(f): return f
@deprecated
def f(): pass
