from typing import Protocol, runtime_checkable


@runtime_checkable
class P(Protocol):
    def a(self): ...
