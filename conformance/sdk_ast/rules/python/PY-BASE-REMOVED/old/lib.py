class f(dict): pass
