"""Mutators: of bytes, of lines, of JSON and YAML trees, and of what is compressed."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import yaml

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

LARGEST = 1 << 20
"""Bytes of a mutant; compressed bombs unfold to more."""

_RAW = {
    "@deep@": "[" * 6_000 + "]" * 6_000,
    "@deepest@": '{"a":' * 60_000 + "1" + "}" * 60_000,
    "@shallow@": "[" * 480 + "]" * 480,
    "@open@": "[" * 20_000,
    "@digits@": "9" * 5_000,
    "@digits64@": "18446744073709551616",
    "@exponent@": "1e999999",
    "@nan@": "NaN",
    "@inf@": "-Infinity",
    "@fraction@": "1." + "3" * 400,
    "@zero@": "-0.0",
}
"""What no Python value is written as: put into the text in the place of a string."""
_DOUBLE = "@again@"
"""The beginning of a key that stands for one that is there already."""

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 127, 255, 65536, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1,
    0.5, 1e308, 5e-324, "", " ", "\n", "0", "1", "-1", "true", "null", "\0", "a\0b", "\x1b[31m", "\ud800", "\udfff\ud800", "\ufeff", "\u202e", "\U0001f600",
    "信创", "é" * 40, "a" * 256, "b" * 5_000, "c" * 70_000, "/", "//", "..", "../../../../etc/passwd", "/dev/zero", "/dev/stdin",
    "~", "-", "--help", "*", "**", "[", "[]", "{", "}", "{}", "{0}", "{a.b}", "{a!r:>99999}", "%s", "%n", "\\", "'", '"', "`",
    "$(id)", "1.2.3", "v1.2.3", "v1." + "9" * 5_000 + ".0", "²", "٣", "0x", "1e5", "nan", "2026-02-30", "9999-12-31", "0000-00-00", "10000-01-01",
    "0001-01-01", "2026-11-29T10:00:00Z", "sha256:", "L9", "XC-MRU-001", [], {}, [[]], [{}], {"": {}}, [None], {"id": "x", "params": {}}, {"text": 1},
    *_RAW,
)  # fmt: skip

_ALIASES = b"\na0: &a0 [x]\n" + b"".join(
    b"a%d: &a%d [" % (i, i) + b",".join([b"*a%d" % (i - 1)] * 9) + b"]\n" for i in range(1, 9)
)
"""Nine lists of nine aliases each: 400 million values."""

TOKENS: tuple[bytes, ...] = (
    b"\0", b"\n", b"\r\n", b"\r", b"\t", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\x85", b"\xe2\x80\xa8", b"\x0c", b"\x1c", b"{", b"}", b"[", b"]",
    b'"', b"'", b":", b": ", b",", b"- ", b"? ", b"? [a, b]: c\n", b"&a ", b"*a", b"&a [*a]", b"<<: *a\n", b"<<: 1\n", b"!!binary ", b"!!binary x", b"!!int x", b"!!float 1e9_9",
    b"!!timestamp 2001-13-45", b"!!set {a}", b"!!omap [a]", b"!!pairs [1]", b"!!python/name:os.system", b"!a ", b"!!null x", b"!!bool x", b"!!str {}", b"0o9", b"0x", b"0b", b"1:60:99", b"_",
    b"2001-02-30", b"2001-01-01 99:99:99", b".inf", b".nan", b"1e400", b"---\n", b"...\n", b"%YAML 9.9\n", b"%TAG ! x\n", b"|9\n", b">-\n", b"#", b"\\x", b"\\ud800", b"\\u", b"=",
    _ALIASES, b"a: *a8\n", b"&x [*x]", b"=>", b"v", b"h1:", b"## explicit", b"# ", b"/go.mod", b"@", b"/", b"../", b"1" * 5000, b"a" * 300, b"\xb2", "²".encode(), "٣".encode(), b"-1", b"0", b"18446744073709551616",
)  # fmt: skip


def mutated(data: bytes, name: str, random: Random, others: Callable[[], bytes]) -> bytes:
    """One mutant of ``data``, whose file is called ``name``; ``others`` gives another seed of the kind."""
    if name.endswith(".jsonl.gz"):
        return _compressed(data, name.removesuffix(".gz"), random, others)
    for _round in range(random.choice((1, 1, 1, 2, 3, 6))):
        data = _once(data, name, random, others)[:LARGEST]
    return data


def _once(data: bytes, name: str, random: Random, others: Callable[[], bytes]) -> bytes:
    structured: Callable[[bytes, Random], bytes] | None = None
    if name.endswith(".json"):
        structured = _json
    elif name.endswith((".jsonl", ".ndjson")):
        structured = _json_lines
    elif name.endswith((".yaml", ".yml")):
        structured = _yaml
    if structured is not None and random.random() < 0.6:
        try:
            return structured(data, random)
        except Exception:
            pass  # it is none any more; the libraries raise anything
    if random.random() < 0.04:
        return _spliced(data, others(), random)
    text = structured is not None or b"\0" not in data[:512]
    return random.choice(_LINES if text and random.random() < 0.5 else _BYTES)(data, random)


# -- bytes


def _place(data: bytes, random: Random) -> int:
    # What stands first decides the most.
    span = len(data) if random.random() < 0.7 else min(len(data), 128)
    return random.randrange(span + 1)


def _flip(data: bytes, random: Random) -> bytes:
    out = bytearray(data)
    for _one in range(random.choice((1, 1, 2, 8))):
        if out:
            out[min(_place(data, random), len(out) - 1)] ^= 1 << random.randrange(8)
    return bytes(out)


def _set_number(data: bytes, random: Random) -> bytes:
    """A little- or big-endian number of 1 to 8 bytes becomes an extreme one."""
    width = random.choice((1, 2, 4, 8))
    at = _place(data, random)
    value = random.choice(
        (0, 1, 2, 0x7F, 0x80, 0xFF, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 63) - 1, (1 << 64) - 1, len(data), at)
    )
    raw = (value & ((1 << 8 * width) - 1)).to_bytes(width, random.choice(("little", "big")))
    return data[:at] + raw + data[at + width :]


def _delete(data: bytes, random: Random) -> bytes:
    at = _place(data, random)
    return data[:at] + data[at + random.choice((1, 1, 2, 4, 16, 512, len(data))) :]


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _insert(data: bytes, random: Random) -> bytes:
    at = _place(data, random)
    return data[:at] + random.choice(TOKENS) + data[at:]


def _replace(data: bytes, random: Random) -> bytes:
    at, token = _place(data, random), random.choice(TOKENS)
    return data[:at] + token + data[at + len(token) :]


def _double(data: bytes, random: Random) -> bytes:
    at = _place(data, random)
    piece = data[at : at + random.choice((1, 4, 64, 1024))]
    return data[:at] + piece * random.choice((2, 2, 3, 300)) + data[at:]


def _noise(data: bytes, random: Random) -> bytes:
    at = _place(data, random)
    piece = random.randbytes(random.choice((1, 2, 4, 16, 256)))
    return data[:at] + piece + data[at + len(piece) :]


def _digits(data: bytes, random: Random) -> bytes:
    """A number in the text becomes another."""
    places = [i for i, byte in enumerate(data[:20_000]) if 48 <= byte <= 57]
    if not places:
        return _flip(data, random)
    at = random.choice(places)
    end = at
    while end < len(data) and 48 <= data[end] <= 57:
        end += 1
    new = random.choice(
        (
            b"0",
            b"-1",
            b"1",
            b"99999999999",
            b"9" * 5000,
            b"1e400",
            b"0.5",
            b"",
            b"2147483648",
            b"00000000000",
            b"7777777",
        )
    )
    return data[:at] + new + data[end:]


def _spliced(data: bytes, other: bytes, random: Random) -> bytes:
    return data[: _place(data, random)] + other[_place(other, random) :]


_BYTES = (_flip, _flip, _set_number, _delete, _cut, _insert, _replace, _double, _noise, _digits)


# -- lines


def _by_lines(change: Callable[[list[bytes], int, Random], None]) -> Callable[[bytes, Random], bytes]:
    def mutate(data: bytes, random: Random) -> bytes:
        lines = data.splitlines(keepends=True) or [b""]
        change(lines, random.randrange(len(lines)), random)
        return b"".join(lines)

    return mutate


def _drop_line(lines: list[bytes], at: int, _random: Random) -> None:
    del lines[at]


def _swap_lines(lines: list[bytes], at: int, random: Random) -> None:
    to = random.randrange(len(lines))
    lines[at], lines[to] = lines[to], lines[at]


def _repeat_line(lines: list[bytes], at: int, random: Random) -> None:
    lines[at:at] = [lines[at]] * random.choice((1, 2, 400))


def _indent_line(lines: list[bytes], at: int, random: Random) -> None:
    lines[at] = random.choice((b" ", b"  ", b"\t", b"- ", b"    ")) + lines[at]


def _join_line(lines: list[bytes], at: int, _random: Random) -> None:
    lines[at] = lines[at].rstrip(b"\r\n")


def _word_of_line(lines: list[bytes], at: int, random: Random) -> None:
    words = lines[at].split(b" ")
    words[random.randrange(len(words))] = random.choice(TOKENS)
    lines[at] = b" ".join(words)


_LINES = (
    *(_by_lines(one) for one in (_drop_line, _swap_lines, _repeat_line, _indent_line, _join_line, _word_of_line)),
    _insert, _digits, _flip,
)  # fmt: skip


# -- trees


def _json(data: bytes, random: Random) -> bytes:
    return _written(_changed(json.loads(data), random), random)


def _json_lines(data: bytes, random: Random) -> bytes:
    lines = data.splitlines()
    at = random.randrange(len(lines))
    # As the writer has it: the readers of some lines look at their first bytes.
    compact = b'": ' not in lines[at][:40]
    lines[at] = _written(_changed(json.loads(lines[at]), random), random, compact=compact)
    return b"\n".join(lines) + b"\n"


def _yaml(data: bytes, random: Random) -> bytes:
    tree = yaml.load(data, _LOADER)
    if _unfolded(tree, {}) > LARGEST:
        raise ValueError("its aliases stand for too much to be written out: its text is changed instead")
    tree = _changed(tree, random)
    if random.random() < 0.5:
        return _written(tree, random)
    text = yaml.dump(tree, Dumper=_DUMPER, allow_unicode=True, sort_keys=False)
    return _raw(text.replace(_DOUBLE, ""), quote="").encode("utf-8", "surrogatepass")


def _unfolded(tree: Any, known: dict[int, float]) -> float:
    """How many values there are when every alias is written out; infinite for one that holds itself."""
    if not isinstance(tree, (dict, list)):
        return 1
    if id(tree) not in known:
        known[id(tree)] = math.inf
        inner = tree.values() if isinstance(tree, dict) else tree
        known[id(tree)] = 1 + sum(_unfolded(one, known) for one in inner)
    return known[id(tree)]


def _written(tree: Any, random: Random, *, compact: bool = False) -> bytes:
    separators = (",", ":") if compact else None
    text = json.dumps(tree, ensure_ascii=random.random() < 0.5, separators=separators, default=str)
    return _raw(text.replace(f'"{_DOUBLE}', '"'), quote='"').encode("utf-8", "surrogatepass")


def _raw(text: str, quote: str) -> str:
    for mark, raw in _RAW.items():
        if mark in text:
            text = text.replace(f"{quote}{mark}{quote}", raw)
    return text


def _changed(tree: Any, random: Random) -> Any:
    """A tree with one part changed; it is changed in place."""
    spots: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting and len(spots) < 20_000:
        one = waiting.pop()
        inner = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
        for key, value in inner:
            spots.append((one, key))
            waiting.append(value)
    if not spots or random.random() < 0.02:
        return random.choice(VALUES)
    # Each depth has the same chance, or the long lists of leaves get it all.
    parent, key = random.choice(spots) if random.random() < 0.6 else spots[random.randrange(min(len(spots), 24))]
    kind = random.randrange(10)
    if kind < 5:
        parent[key] = random.choice(VALUES)
    elif kind == 5:
        del parent[key]
    elif kind == 6:
        source, name = random.choice(spots)
        parent[key] = source.get(name) if isinstance(source, dict) else source[name] if name < len(source) else None
        if _is_in(parent, parent[key]):
            parent[key] = None
    elif kind == 7:
        _rename(parent, key, random)
    elif kind == 8:
        parent[key] = random.choice(([parent[key]], {"a": parent[key]}, [parent[key]] * 3, str(parent[key])))
    else:
        _own_kind(parent, key, random)
    return tree


def _is_in(part: Any, tree: Any) -> bool:
    waiting = [tree]
    for _step in range(100_000):
        if not waiting:
            return False
        one = waiting.pop()
        if one is part:
            return True
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return True


def _rename(parent: Any, key: Any, random: Random) -> None:
    if isinstance(parent, dict):
        new = random.choice(
            ("", "\0", "x" * 300, _DOUBLE + str(key), "extra", "信创", "\ud800", "a.b", "1", str(key) + " ", "{x}")
        )
        parent[new] = parent[key] if new.startswith(_DOUBLE) else parent.pop(key)
    else:
        parent.insert(key, random.choice(VALUES))


def _own_kind(parent: Any, key: Any, random: Random) -> None:
    """A value of the same kind that is nearly right."""
    value = parent[key]
    if isinstance(value, str):
        at = random.randrange(len(value) + 1)
        piece = random.choice(("", "\0", " ", "\n", "\ud800", "é", "²", "/", ".", ":", "-", "9" * 20, "{", "x" * 300))
        parent[key] = value[:at] + piece + value[at + random.randrange(3) :]
    elif isinstance(value, bool) or value is None:
        parent[key] = random.choice((not value, 0, 1, "true"))
    elif isinstance(value, int):
        parent[key] = random.choice(
            (value + 1, value - 1, -value, value * 1000, float(value), str(value), value << 70, bool(value))
        )
    elif isinstance(value, float):
        parent[key] = random.choice((int(value) if abs(value) < 1e300 else 0, -value, value * 1e300, str(value)))
    elif isinstance(value, list):
        parent[key] = random.choice(
            (value * 2, value[::-1], value[:1], value * 60 if len(value) < 50 else [], tuple(value[1:]))
        )
        parent[key] = list(parent[key])
    elif isinstance(value, dict):
        parent[key] = random.choice((list(value), list(value.values()), {**value, "extra": 1}, dict.fromkeys(value)))


# -- compressed


def _compressed(data: bytes, inner: str, random: Random, others: Callable[[], bytes]) -> bytes:
    kind = random.randrange(12)
    if kind == 0:
        return _once(data, "", random, others)
    try:
        plain = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return _once(data, "", random, others)
    if kind == 1:  # a bomb: 3 MB that want gigabytes
        return gzip.compress(plain, 1, mtime=0) + bomb(random.choice((1, 30, 1200, 3000)))
    if kind == 2:
        return gzip.compress(plain, 1, mtime=0) + random.choice(
            (b"\0" * 9, b"x", gzip.compress(plain, 1, mtime=0), gzip.compress(b"", mtime=0))
        )
    return gzip.compress(mutated(plain, inner, random, lambda: plain), 1, mtime=0)


def bomb(megabytes: int) -> bytes:
    """Gzip members of as many megabytes as that, in a thousandth of it."""
    return _MEGABYTE * megabytes


_MEGABYTE = gzip.compress(b"\n" * (1 << 20), mtime=0)
