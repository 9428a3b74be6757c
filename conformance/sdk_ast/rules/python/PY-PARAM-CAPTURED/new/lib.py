def f(first=None, *args):
    return args
