"""The curve of GB/T 32918.5-2017 in affine and Jacobian coordinates."""

from __future__ import annotations

import threading

from pytest_xinchuang.messages import _

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFC
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
"""GB/T 32918.5-2017 clause 2: field, coefficients, order (cofactor 1) and base point."""

Point = tuple[int, int] | None
"""An affine point; None is the point at infinity."""

_Jacobian = tuple[int, int, int]
_INFINITY = (1, 1, 0)


def on_curve(point: Point) -> bool:
    """Whether it is a point of the curve other than infinity, with coordinates below p."""
    if point is None:
        return False
    x, y = point
    return 0 <= x < P and 0 <= y < P and (y * y - (x * x + A) * x - B) % P == 0


def _double(p: _Jacobian) -> _Jacobian:
    x, y, z = p
    if not y or not z:
        return _INFINITY
    yy = y * y % P
    s = 4 * x * yy % P
    zz = z * z % P
    m = 3 * (x - zz) * (x + zz) % P  # a = -3
    out = (m * m - 2 * s) % P
    return out, (m * (s - out) - 8 * yy * yy) % P, 2 * y * z % P


def _add(p: _Jacobian, q: _Jacobian) -> _Jacobian:
    if not p[2]:
        return q
    if not q[2]:
        return p
    x1, y1, z1 = p
    x2, y2, z2 = q
    zz1, zz2 = z1 * z1 % P, z2 * z2 % P
    u1, u2 = x1 * zz2 % P, x2 * zz1 % P
    s1, s2 = y1 * zz2 * z2 % P, y2 * zz1 * z1 % P
    h, r = (u2 - u1) % P, (s2 - s1) % P
    if not h:
        return _double(p) if not r else _INFINITY
    hh = h * h % P
    hhh = h * hh % P
    v = u1 * hh % P
    x = (r * r - hhh - 2 * v) % P
    return x, (r * (v - x) - s1 * hhh) % P, z1 * z2 * h % P


def _affine(p: _Jacobian) -> Point:
    if not p[2]:
        return None
    inverse = pow(p[2], -1, P)
    square = inverse * inverse % P
    return p[0] * square % P, p[1] * square * inverse % P


def _multiply(k: int, point: Point) -> _Jacobian:
    if k < 0:
        raise ValueError(_("a point is not multiplied by a negative number"))
    if point is None or not k:
        return _INFINITY
    table: list[_Jacobian] = [_INFINITY, (point[0], point[1], 1)]
    for _round in range(14):
        table.append(_add(table[-1], table[1]))
    out = _INFINITY
    for digit in f"{k:x}":
        for _round in range(4):
            out = _double(out)
        if nibble := int(digit, 16):
            out = _add(out, table[nibble])
    return out


_Comb = tuple[tuple[_Jacobian, ...], ...]

_comb: _Comb = ()
_comb_lock = threading.Lock()


def _comb_made() -> _Comb:
    """The multiples of G by 0 to 15 times 16**i: made once, by one thread, and never seen by another before it is whole."""
    global _comb
    with _comb_lock:
        if not _comb:
            rows = []
            start: _Jacobian = (*G, 1)
            for _round in range(64):
                row = [_INFINITY, start]
                for _round in range(14):
                    row.append(_add(row[-1], start))
                rows.append(tuple(row))
                start = _add(row[-1], start)
            _comb = tuple(rows)
    return _comb


def _multiply_base(k: int) -> _Jacobian:
    out = _INFINITY
    for row in _comb or _comb_made():
        out = _add(out, row[k & 15])
        k >>= 4
    return out


def multiply(k: int, point: Point) -> Point:
    """``k * point``. Raises ValueError: k is negative."""
    return _affine(_multiply(k, point))


def multiply_base(k: int) -> Point:
    """``k * G``."""
    return _affine(_multiply_base(k % N))


def add(p: Point, q: Point) -> Point:
    """``p + q``."""
    a = (*p, 1) if p else _INFINITY
    b = (*q, 1) if q else _INFINITY
    return _affine(_add(a, b))


def combine(s: int, t: int, point: Point) -> Point:
    """``s * G + t * point``."""
    return _affine(_add(_multiply_base(s % N), _multiply(t % N, point)))


def negate(point: Point) -> Point:
    """``-point``."""
    return None if point is None else (point[0], -point[1] % P)


def lift(x: int, odd: int) -> Point:
    """The point with this x whose y has this parity. Raises ValueError: there is none."""
    square = ((x * x + A) * x + B) % P
    y = pow(square, (P + 1) // 4, P)
    if not 0 <= x < P or y * y % P != square:
        raise ValueError(_("no point has this x coordinate"))
    return x, (P - y if y & 1 != odd else y)
