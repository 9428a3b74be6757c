"""Known-bad subjects whose arithmetic is wrong for some operands alone: a carry, a borrow, an addition of equal points."""

from __future__ import annotations

from collections.abc import Callable

from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness
from pytest_xinchuang.sm import curve
from pytest_xinchuang.sm.curve import N, P, Point
from pytest_xinchuang.sm.sm2 import Sm2
from tests.mutants.sm.registry import defect, use_sm2

Jacobian = tuple[int, int, int]


class Limbs:
    """Field elements in limbs, and points of them. The three operations are right here; a subject has one that is not."""

    width = 64
    radix = 1
    """What an element is multiplied by while it is kept: 1, or R of Montgomery's form."""

    def __init__(self) -> None:
        self.back = pow(self.radix, -1, P)

    def mul(self, a: int, b: int) -> int:
        return a * b * self.back % P

    def add(self, a: int, b: int) -> int:
        return (a + b) % P

    def sub(self, a: int, b: int) -> int:
        return (a - b) % P

    def taken(self, value: int) -> list[int]:
        """The limbs, lowest first."""
        return [value >> n & (1 << self.width) - 1 for n in range(0, 256, self.width)]

    def double(self, p: Jacobian) -> Jacobian:
        x, y, z = p
        zz, yy = self.mul(z, z), self.mul(y, y)
        beta = self.mul(x, yy)
        alpha = self.mul(self.sub(x, zz), self.add(x, zz))
        alpha = self.add(self.add(alpha, alpha), alpha)
        beta4 = self.add(self.add(beta, beta), self.add(beta, beta))
        out = self.sub(self.mul(alpha, alpha), self.add(beta4, beta4))
        yy2 = self.add(yy, yy)
        y4 = self.mul(yy2, yy2)
        height = self.sub(self.mul(alpha, self.sub(beta4, out)), self.add(y4, y4))
        return out, height, self.mul(self.add(y, y), z)

    def plus(self, p: Jacobian, q: Jacobian) -> Jacobian:
        """The sum of two points that are neither equal nor opposite."""
        zz1, zz2 = self.mul(p[2], p[2]), self.mul(q[2], q[2])
        u1, u2 = self.mul(p[0], zz2), self.mul(q[0], zz1)
        s1, s2 = self.mul(p[1], self.mul(zz2, q[2])), self.mul(q[1], self.mul(zz1, p[2]))
        h, r = self.sub(u2, u1), self.sub(s2, s1)
        hh = self.mul(h, h)
        hhh, v = self.mul(h, hh), self.mul(u1, hh)
        x = self.sub(self.sub(self.mul(r, r), hhh), self.add(v, v))
        y = self.sub(self.mul(r, self.sub(v, x)), self.mul(s1, hhh))
        return x, y, self.mul(self.mul(p[2], q[2]), h)

    def multiply(self, k: int, point: Point) -> Point:
        """``k * point`` by windows of four bits, for k whose steps add no equal points."""
        assert point is not None
        one = (point[0] * self.radix % P, point[1] * self.radix % P, self.radix % P)
        table = [one, self.double(one)]
        while len(table) < 15:
            table.append(self.plus(table[-1], one))
        out: Jacobian | None = None
        for digit in f"{k:x}":
            for _ in range(4):
                out = self.double(out) if out else None
            if n := int(digit, 16):
                out = self.plus(out, table[n - 1]) if out and out != table[n - 1] else table[n - 1]
        assert out is not None
        inverse = pow(out[2] * self.back, -1, P) if out[2] % P else 0
        square = inverse * inverse % P
        return out[0] * square * self.back % P, out[1] * square * inverse * self.back % P


def verifying(h: ReferenceHarness, multiply: Callable[[int, Point], Point]) -> None:
    """A subject that verifies with tP as ``multiply`` gives it; small t, whose steps may be equal, are computed rightly."""

    class Bad(Sm2):
        def verify_digest(self, point: Point, digest: bytes, r: int, s: int) -> bool:
            t = (r + s) % N
            if not (self.in_range(r) and self.in_range(s) and self.sum_is_good(t)):
                return False
            common = 1 << 32 < t < N - (1 << 32)
            product = multiply(t, point) if common else curve.multiply(t, point)
            return self.agrees(int.from_bytes(digest), curve.add(curve.multiply_base(s), product), r)

    use_sm2(h, Bad)


class Adx(Limbs):
    """Montgomery's multiplication of 64-bit limbs as emmansun/gmsm 0.41.0 does it where the CPU has ADX (its issue #560).

    A step of the reduction subtracts with SUB and SBB, and adds with ADOX, which takes the overflow flag for its carry:
    where the last SBB has overflowed as a signed number, one too much is added.
    """

    radix = 1 << 256

    def mul(self, a: int, b: int) -> int:
        total = 0
        for limb in self.taken(b):
            total += a * limb
            low = total & (1 << 64) - 1
            high, shifted = low >> 32, low << 32 & (1 << 64) - 1
            borrow = (total >> 64) % (1 << 192) < shifted + (high << 64) + (shifted << 128)
            overflow = low >> 63 and not (low - high - borrow) >> 63
            total = (total + low * P >> 64) + overflow  # -1/p is 1 modulo 2**64
        return total - P if total >= P else total


@defect(140, "sm2_operands_verify")
def overflow_flag_as_carry(h: ReferenceHarness) -> None:
    verifying(h, Adx().multiply)


def compared_carry(a: int, b: int, width: int = 64) -> int:
    """``a + b``, each carry told by ``sum < a``: it is lost where a limb of b is all ones and a carry came in."""
    out = carry = 0
    for at in range(0, 256, width):
        first, second = (v >> at & (1 << width) - 1 for v in (a, b))
        total = (first + second + carry) & (1 << width) - 1
        carry = total < first
        out |= total << at
    return out + (carry << 256)


class Compared(Limbs):
    """Plain 64-bit limbs on a CPU without a carry flag."""

    def add(self, a: int, b: int) -> int:
        return compared_carry(a, b) % P


@defect(141, "sm2_operands_verify")
def carry_by_comparison(h: ReferenceHarness) -> None:
    verifying(h, Compared().multiply)


class Ifma(Limbs):
    """Limbs of 52 bits, added all at once: a carry goes one limb up and no further, and multiplications take 52 bits alone."""

    width = 52
    radix = 1 << 260

    def add(self, a: int, b: int) -> int:
        return self.handed([x + y for x, y in zip(self.taken(a), self.taken(b), strict=True)])

    def sub(self, a: int, b: int) -> int:
        return self.handed([x - y for x, y in zip(self.taken(a), self.taken(b), strict=True)])

    def handed(self, limbs: list[int]) -> int:
        """What is left of limbs with a carry, or a borrow, in each: every one is handed on once, all at the same time."""
        mask = (1 << 52) - 1
        below = [0, *(one >> 52 for one in limbs)]
        kept = [(one & mask) + carry & mask for one, carry in zip(limbs, below, strict=False)]
        return (sum(one << 52 * n for n, one in enumerate(kept)) + (below[-1] << 260)) % P


@defect(142, "sm2_operands_verify")
def carry_goes_one_limb(h: ReferenceHarness) -> None:
    verifying(h, Ifma().multiply)


@defect(143, "sm2_operands_verify")
def sum_of_scalars(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def verify_digest(self, point: Point, digest: bytes, r: int, s: int) -> bool:
            if not (self.in_range(r) and self.in_range(s)):
                return False
            t = compared_carry(r, s) % N
            return self.sum_is_good(t) and self.agrees(int.from_bytes(digest), curve.combine(s, t, point), r)

    use_sm2(h, Bad)


@defect(144, "sm2_operands_decrypt")
def signed_windows(h: ReferenceHarness) -> None:
    """Windows of four bits from -8 to 7: 8 is added to each window at once, and taken from each digit."""
    eights = int("8" * 64, 16)

    class Bad(Sm2):
        def shared(self, d: int, c1: Point) -> Point:
            return super().shared((compared_carry(eights, d) - eights) % N, c1)

    use_sm2(h, Bad)


@defect(145, "sm2_operands_verify")
def no_doubling(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def verify_digest(self, point: Point, digest: bytes, r: int, s: int) -> bool:
            t = (r + s) % N
            if not (self.in_range(r) and self.in_range(s) and self.sum_is_good(t)):
                return False
            first, second = curve.multiply_base(s), curve.multiply(t, point)
            found = None if first == second else curve.add(first, second)
            return self.agrees(int.from_bytes(digest), found, r)

    use_sm2(h, Bad)


@defect(146, "sm2_operands_decrypt")
def last_subtraction(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def shared(self, d: int, c1: Point) -> Point:
            found = super().shared(d, c1)
            assert found is not None
            x, y = (v + P if v + P < 1 << 256 else v for v in found)
            return x, y

    use_sm2(h, Bad)
