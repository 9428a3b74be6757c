def __getattr__(name):
    if name == "f":
        return print
    raise AttributeError(name)
