def f(**kw): pass
