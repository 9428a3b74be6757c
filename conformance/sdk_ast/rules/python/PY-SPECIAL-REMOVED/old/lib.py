class A:
    def __add__(self, other):
        return 1
