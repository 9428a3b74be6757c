import abc


class A(abc.ABC):
    pass
