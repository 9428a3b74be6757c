import abc


class A(abc.ABC):
    def g(self):
        pass
