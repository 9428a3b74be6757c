import abc


class A(abc.ABC):
    @abc.abstractmethod
    def g(self):
        pass
