__all__ = []
def f(): pass
