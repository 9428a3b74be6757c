def f(a=2): pass
