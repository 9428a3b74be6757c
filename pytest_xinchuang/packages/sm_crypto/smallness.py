"""Finds the number k of a point kG where k is small, by a table and giant steps (Shanks)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from pytest_xinchuang.sm.curve import G, N, P, Point, multiply, multiply_base, negate

TABLE_BITS = 17
"""Of the table: half a second natively."""
WALK_BITS = 16
"""Of the giant steps over it: a quarter of a second natively."""
WORD_BITS = 32
"""Of what a generator of words gives at once."""

_AT_ONCE = 512
_Pair = tuple[int, int]
_INFINITY = (-1, 0)


class Multiples:
    """The multiples of G up to 2**table_bits, found by their x, and so with their negatives; giant steps go over them.

    Args:
        walk_bits: 2**walk_bits giant steps, each as wide as the table and its negatives.
    """

    def __init__(self, table_bits: int = TABLE_BITS, walk_bits: int = WALK_BITS) -> None:
        self._table_bits, self._walk_bits, self._small = table_bits, walk_bits, 1 << table_bits
        self.known = {x: n for n, (x, _y) in enumerate(_walk(G, G, self._small), 1)} | {_INFINITY[0]: 0}
        self._step = _pair(negate(multiply_base(2 * self._small)))

    @property
    def bits(self) -> int:
        """Every k below 2**bits is found by a walk."""
        return self._table_bits + self._walk_bits + 1

    @property
    def word_bits(self) -> int:
        """The same of a number in another place than the lowest one: no more than a word."""
        return min(WORD_BITS, self.bits)

    def of(self, point: Point, *, bits: int = 0, negative: bool = False) -> int | None:
        """k with ``point`` = kG, where k, or for ``negative`` n - k too, is below 2**bits; None: it is not.

        Args:
            bits: as many as :attr:`bits`, for 0.
        """
        count = 1 << (bits or self.bits) - self._table_bits - 1
        for start, sign in ((point, 1), (negate(point), -1)) if negative else ((point, 1),):
            # One step more: the last one reaches over half of its width alone.
            for giant, (x, _y) in enumerate(islice(_walk(_pair(start), self._step, count + 1), count + 1)):
                if x in self.known:
                    middle = 2 * giant * self._small
                    found = (sign * (middle + near) for near in (self.known[x], -self.known[x]))
                    return next(k for k in found if multiply_base(k) == point)
        return None

    def shaped(self, point: Point, factor: int) -> int | None:
        """The number x of a word with ``point`` = x * factor * G; None: there is none."""
        return self.of(multiply(pow(factor, -1, N), point), bits=self.word_bits)

    def at_once(self, point: Point) -> int | None:
        """k with ``point`` = kG, where k, or n - k, is in the table: no step is gone."""
        near = self.known.get(_pair(point)[0])
        return None if near is None else next(k for k in (near, -near) if multiply_base(k) == point)

    def apart(self, points: Sequence[Point]) -> int | None:
        """How far the k of two of the points are apart, where the table has it; None: it is so of no two."""
        pairs = [_pair(point) for point in points]
        for at, point in enumerate(points):
            for difference in _all_plus(pairs[:at], _pair(negate(point))) if at else ():
                if difference[0] in self.known:
                    return self.known[difference[0]]
        return None


def _pair(point: Point) -> _Pair:
    return _INFINITY if point is None else point


def _walk(start: _Pair, step: _Pair, count: int) -> Iterator[_Pair]:
    """``start``, ``start + step``, ``start + 2 * step`` and so on, ``count`` points; one inversion serves 512 of them."""
    # Lanes that follow one another are begun one by one; then all of them move by the whole width.
    lanes = min(_AT_ONCE, count)
    points, stride = [start], step
    for _n in range(1, lanes):
        points += _all_plus(points[-1:], step)
        (stride,) = _all_plus([stride], step)
    for _turn in range(-(-count // lanes)):
        yield from points
        points = _all_plus(points, stride)


def _all_plus(points: list[_Pair], b: _Pair) -> list[_Pair]:
    """Every point plus ``b``, with one inversion for all (Montgomery's trick)."""
    bx, by = b
    bottoms = [((bx - x if x != bx else 2 * y) if x >= 0 else 1) % P or 1 for x, y in points]
    products, running = [], 1
    for bottom in bottoms:
        products.append(running)
        running = running * bottom % P
    inverse = pow(running, -1, P)
    out = [b] * len(points)
    for i in range(len(points) - 1, -1, -1):
        x, y = points[i]
        one = inverse * products[i] % P
        inverse = inverse * bottoms[i] % P
        if x == bx and y != by:
            out[i] = _INFINITY
        elif x >= 0:
            top = by - y if x != bx else 3 * (x * x - 1)  # a = -3
            slope = top * one % P
            third = (slope * slope - x - bx) % P
            out[i] = (third, (slope * (x - third) - y) % P)
    return out
