"""The reference without what its own speed tells of a key."""

from __future__ import annotations

from pytest_xinchuang.sm.curve import Point
from pytest_xinchuang.sm.sm2 import Sm2


class Steady(Sm2):
    """Signs in a time that does not depend on the key, but for its inverse: the reference's multiplication does."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, Point] = {}

    def public_of(self, d: int) -> Point:
        if d not in self.known:
            self.known[d] = super().public_of(d)
        return self.known[d]
