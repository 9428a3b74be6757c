"""Finds the number k of a point kG where k is small, by a table and giant steps (Shanks)."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_xinchuang.sm.curve import G, P, Point, multiply_base, negate

STEPS_BITS = 16
"""Of the table, and of the giant steps over it: a second each."""

_AT_ONCE = 512
_Pair = tuple[int, int]
_INFINITY = (-1, 0)


class Multiples:
    """The multiples of G up to 2**steps_bits, found by their x, and so with their negatives; as many giant steps go over them.

    Attributes:
        bits: every k below 2**bits is found.
    """

    def __init__(self, steps_bits: int = STEPS_BITS) -> None:
        self.bits, self.count = 2 * steps_bits + 1, 1 << steps_bits
        small = self.count
        self.known = {x: n for n, (x, _y) in enumerate(_walk(G, G, small), 1)} | {_INFINITY[0]: 0}
        self.step = _pair(negate(multiply_base(2 * small)))

    def of(self, point: Point, *, negative: bool = False) -> int | None:
        """k with ``point`` = kG, where k is small, or, for ``negative``, n - k; None: it is not."""
        for start, sign in ((point, 1), (negate(point), -1)) if negative else ((point, 1),):
            for giant, (x, _y) in enumerate(_walk(_pair(start), self.step, self.count)):
                if x in self.known:
                    middle = 2 * giant * self.count
                    found = (sign * (middle + near) for near in (self.known[x], -self.known[x]))
                    return next(k for k in found if multiply_base(k) == point)
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
