"""ELF objects and containers that a text carries: as base64, base32 or base85, in uuencode, digits, escapes or numbers."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import islice

from pytest_xinchuang.inspect.formats.contained import CannotRead
from pytest_xinchuang.inspect.formats.hidden import MOST, Hidden
from pytest_xinchuang.inspect.formats.magic import is_inert, is_plain, kind_of
from pytest_xinchuang.messages import _

_BASE64 = re.compile(
    # The first bytes of ELF, gzip, zip, xz, zstd, bzip2, squashfs, ar, rpm and 7z, as base64 writes them.
    rb"(?<![A-Za-z0-9+/])(?:f0VMRg[EI]|H4sI|UEsDB|/Td6WFoA|KLUv/|Qlpo[MNO]|aHNxc|ITxhcmNoPgo|7avu2|N3q8ryc)"
    rb"[A-Za-z0-9+/]{40,}(?:(?:\\?\r?\n|\\n|[\"']\s{0,64}\+?\s{0,64}[\"'])[ \t]*[A-Za-z0-9+/]+)*={0,2}"
)
_LEADS = (b"f0VMR", b"H4sI", b"UEsDB", b"/Td6W", b"KLUv/", b"Qlpo", b"aHNxc", b"ITxhc", b"7avu2", b"N3q8r")
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
"""The alphabet of base64 (RFC 4648, table 1), hexadecimal digits among it."""
_AS_A = bytes(ord("a") if byte in _LETTERS else ord(" ") for byte in range(256))
_ROW = 44
"""Letters in a row without which neither base64 nor hexadecimal digits of what is looked for stand in a text: four of gzip's
that lead, and forty."""
_NOT_BASE64 = re.compile(rb"\\n|[^A-Za-z0-9+/]")
_ZLIB = re.compile(
    # The four usual headers of zlib's format (RFC 1950: CMF 0x78, FLEVEL 0 to 3), as base64 writes them.
    rb"(?<![A-Za-z0-9+/])(?:eA[E-H]|eF[4-7]|eJ[w-z]|eN[o-r])"
    rb"[A-Za-z0-9+/]{40,}(?:(?:\\?\r?\n|\\n|[\"']\s{0,64}\+?\s{0,64}[\"'])[ \t]*[A-Za-z0-9+/]+)*={0,2}"
)
_HEADS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
MOST_INFLATED = 64 << 20
"""Bytes to which what a text carries is expanded."""

_LEAST = 160
"""Characters below which there is no room for an object, nor for a container of one."""

_UU = re.compile(rb"^begin(-base64)? [0-7]{3,4} [^\r\n]+\r?\n", re.MULTILINE)
_HEX = re.compile(rb"(?<![0-9A-Fa-f])7[fF]454[cC]460[12]0[12]01[0-9A-Fa-f]{100,}(?:\\?\r?\n[0-9A-Fa-f]+)*")
_HEX_LEADS = (b"7f454c46", b"7F454C46", b"7f454C46", b"7F454c46")


_ESCAPED = re.compile(
    rb"\\(?:x7[fF]|177)(?:ELF|\\x45\\x4[cC]\\x46|\\105\\114\\106)(?:\\(?:\r?\n|.)|[^\"'\\\n])*", re.DOTALL
)
"""ELF's magic in a string of C, of a shell's printf or of Python, and the rest of that string."""

_NUMBERS = re.compile(
    rb"\b(?:127,\s{0,9}69,\s{0,9}76,\s{0,9}70|0x7[fF],\s{0,9}0x45,\s{0,9}0x4[cC],\s{0,9}0x46)"
    rb"(?:,\s{0,9}(?:0x)?[0-9A-Fa-f]{1,3})+"
)
_B32 = re.compile(rb"[A-Z2-7]{60,}(?:\\?\r?\n[A-Z2-7]+)*={0,6}")
_LITERAL = re.compile(rb"(['\"])((?:(?!\1)[^\\\n]|\\.)*+)(\1)?")
"""A string of Python's in one line, or the rest of a line that ends within one: each byte is looked at once."""

_B85 = re.compile(rb"[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]{60,}(?:\r?\n[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]+)*")
_HEADER = 64
"""Bytes of an ELF object's header."""


def encoded(text: bytes, *, script: bool) -> Iterator[Hidden]:
    """What a text carries: ELF objects and known containers. ``script``: it may write them out, and not only describe them."""
    yield from _in_letters(text)
    if not script:
        return
    if b"\\x7" in text or b"\\177" in text:
        for found in islice(_ESCAPED.finditer(text), MOST):
            content = _unescaped(found.group())
            if len(content) >= _HEADER:
                yield Hidden(found.start(), found.end(), content)
    if _may_be_numbers(text):
        for found in islice(_NUMBERS.finditer(text), MOST):
            content = _from_numbers(found.group())
            if len(content) >= _HEADER:
                yield Hidden(found.start(), found.end(), content)
    if b"b32decode" in text or b"base32" in text:
        yield from _decoded(_B32, text, _from_b32)
    if b"a85decode" in text:
        yield from _decoded(_LITERAL, text, _from_a85)
    if any(word in text for word in _WORDS) and _DECODERS.search(text) is not None:
        for begin, end, letters in _framed(text):
            content = from_base64(letters)
            if kind_of(content[:512], "") is not None or content[:2] in _HEADS:
                yield from _inflated(Hidden(begin, end, content))
    if b"b85decode" in text:
        for found in islice(_B85.finditer(text), MOST):
            content = _from_b85(found.group()) if len(found.group()) >= _LEAST else b""
            if content and not _is_data(content):
                yield Hidden(found.start(), found.end(), content)


def _may_be_numbers(text: bytes) -> bool:
    """Whether the first and the third byte of ELF's magic stand among numbers: a plain search first, for it is far faster."""
    decimal = b"127," in text and b"76," in text
    return decimal or (b"0x7" in text and (b"0x7f," in text or b"0x7F," in text))


def _decoded(pattern: re.Pattern[bytes], text: bytes, decode: Callable[[bytes], bytes]) -> Iterator[Hidden]:
    """What each match stands for, where that is of a kind that may be started."""
    for found in islice((m for m in pattern.finditer(text) if m.end() - m.start() >= _LEAST), MOST):
        content = decode(found.group())
        if content and not _is_data(content):
            yield from _inflated(Hidden(found.start(), found.end(), content))


def _inflated(hidden: Hidden) -> Iterator[Hidden]:
    """What is hidden, expanded if it is of zlib's format: then an object or a container alone is any matter.

    Raises:
        CannotRead: it is one of more than ``MOST_INFLATED`` bytes.
    """
    content = hidden.content or b""
    if content[:2] not in _HEADS:
        yield hidden
        return
    stream = zlib.decompressobj()
    try:
        head = stream.decompress(content, 512)
        if kind_of(head, "") is None:
            return
        whole = head + stream.decompress(stream.unconsumed_tail, MOST_INFLATED)
    except zlib.error:
        return
    if stream.unconsumed_tail:
        raise CannotRead(_("it expands to more than {limit} MiB", limit=MOST_INFLATED >> 20), "XC-BAD-003")
    yield Hidden(hidden.begin, hidden.end, whole)


_FRAMED = 40
"""Letters of a line that a script puts together with others, and the fewest in a row of anything that it decodes."""
_RUN = re.compile(rb"[A-Za-z0-9+/]{%d,}={0,2}" % _FRAMED)
_SHORT = re.compile(rb"[A-Za-z0-9+/]{2,}={0,2}")
MOST_FRAME = 200
"""Characters around a line's letters."""


def _framed(text: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Letters that a script puts together from line to line: ``echo '...' >> file``, ``data="${data}..."``.

    Lines of letters alone are found without.
    """
    begin, frame, parts, at = 0, None, list[bytes](), 0
    for line in text.splitlines(keepends=True):
        found = max(_RUN.finditer(line), key=lambda m: m.end() - m.start(), default=None)
        mine = _frame(line, found.start(), found.end()) if found is not None else None
        if found is not None and mine is not None and (frame is None or mine == frame):
            begin, frame = (at, mine) if frame is None else (begin, frame)
            parts.append(found.group())
        elif frame is not None:
            # The last line may be a short one.
            last = next((m for m in _SHORT.finditer(line) if _frame(line, m.start(), m.end()) == frame), None)
            if len(parts) > 1 and any(frame):
                yield begin, at + (len(line) if last else 0), b"".join(parts) + (last.group() if last else b"")
            begin, frame, parts = (at, mine, [found.group()]) if found is not None and mine else (0, None, [])
        at += len(line)
    if len(parts) > 1 and frame is not None and any(frame):
        yield begin, at, b"".join(parts)


def _frame(line: bytes, begin: int, end: int) -> tuple[bytes, bytes] | None:
    """What stands around the letters of a line; ``>`` begins a file to which ``>>`` appends."""
    before, after = line[:begin].strip(), line[end:].strip()
    if len(before) + len(after) > MOST_FRAME:
        return None
    return before.replace(b">>", b">"), after.replace(b">>", b">")


def _from_b32(text: bytes) -> bytes:
    letters = re.sub(rb"[^A-Z2-7]", b"", text)
    whole = letters[: len(letters) // 8 * 8]
    rest = letters[len(whole) :]
    # 2, 4, 5 and 7 letters are 1 to 4 bytes (RFC 4648, 6).
    return base64.b32decode(whole + (rest.ljust(8, b"=") if len(rest) in (2, 4, 5, 7) else b""))


def _from_a85(text: bytes) -> bytes:
    literal = _unescaped(text[1:-1]) if text[:1] == text[-1:] else b""
    try:
        return base64.a85decode(literal, adobe=literal.startswith(b"<~"))
    except ValueError:
        return b""


def _unescaped(text: bytes) -> bytes:
    try:
        found: bytes = codecs.escape_decode(text)[0]
    except ValueError:
        return b""
    return found


def _from_numbers(text: bytes) -> bytes:
    try:
        return bytes(int(number, 0) for number in text.split(b",") if number.strip())
    except ValueError:
        return b""


def _from_b85(text: bytes) -> bytes:
    try:
        return base64.b85decode(b"".join(text.split()))
    except ValueError:
        return b""


def _in_letters(text: bytes) -> Iterator[Hidden]:
    """Those that are written as base64, in lines of uuencode or in hexadecimal digits."""
    in_a_row = _has_row(text, _ROW)
    if in_a_row and any(lead in text for lead in _LEADS):
        for found in _BASE64.finditer(text):
            content = from_base64(found.group())
            if content and len(found.group()) >= _LEAST:
                yield Hidden(found.start(), found.end(), content)
    if b"zlib" in text or b"inflate" in text or b"decompress" in text:
        for found in islice(_ZLIB.finditer(text), MOST):
            if len(found.group()) >= _LEAST:
                yield from _inflated(Hidden(found.start(), found.end(), from_base64(found.group())))
    if text.startswith(b"begin") or b"\nbegin" in text:
        for found in islice(_UU.finditer(text), MOST):
            end = text.find(b"\n====" if found.group(1) else b"\nend", found.end())
            lines = text[found.end() : end if end >= 0 else len(text)]
            content = from_base64(lines) if found.group(1) else _from_uu(lines)
            if content:
                yield Hidden(found.start(), found.end() + len(lines), content)
    if in_a_row and any(lead in text for lead in _HEX_LEADS):
        for found in _HEX.finditer(text):
            digits = re.sub(rb"[^0-9A-Fa-f]", b"", found.group())
            yield Hidden(found.start(), found.end(), bytes.fromhex(digits[: len(digits) // 2 * 2].decode()))


def _has_row(text: bytes, least: int) -> bool:
    """Whether so many letters of base64 stand in a row anywhere: few texts have that, and it is told at the speed of memory."""
    return text.translate(_AS_A).find(b"a" * least) >= 0


def from_base64(text: bytes) -> bytes:
    """What the characters stand for, whatever quotes and ends of lines are among them; a rest that is no group is left out."""
    letters = _NOT_BASE64.sub(b"", text)
    return base64.b64decode(letters[: len(letters) // 4 * 4] + _last(letters[len(letters) // 4 * 4 :]))


def _last(rest: bytes) -> bytes:
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def _from_uu(text: bytes) -> bytes:
    found = bytearray()
    for line in text.splitlines():
        try:
            found += binascii.a2b_uu(line)
        except binascii.Error:
            return b""
    return bytes(found)


_DECODERS = re.compile(
    rb"\bbase64 +(?:-d|-D|--decode|-di)\b|\bopenssl +(?:enc|base64)\b[^\n]{0,200} -d\b|\buudecode\b"
    rb"|b64decode|b32decode|b85decode|a85decode|\bxxd +-r|\bbasenc\b[^\n]{0,200} -d|\bbase32 +(?:-d|-D|--decode|-di)\b"
)
_WORDS = (b"base64", b"b64", b"base32", b"b32", b"openssl", b"uudecode", b"85decode", b"xxd", b"basenc")
_LONG = re.compile(rb"[A-Za-z0-9+/]{60,}(?:\r?\n[A-Za-z0-9+/]+)*={0,2}")
_RUNS = re.compile(
    rb"\b(?:chmod|subprocess|child_process|ctypes|CDLL|dlopen|memfd_create|marshal)\b"
    rb"|\b(?:exec\w*|system|popen|spawn\w*|eval|fork)\s*\("
)
"""What a program with constants does with what it runs. Pictures and fonts among its constants are decoded too."""
MODULES = (".py", ".js", ".mjs", ".cjs", ".rb", ".pl", ".php", ".lua", ".tcl")
"""Ends of names of such programs."""
_CLOSED = 4096
"""Characters from which on something that a script decodes, and that is of no known kind, is worth a word."""


def decoded_by_script(text: bytes, name: str = "") -> bool:
    """Whether a script decodes a long text that it carries, which is of no kind that is known: it may be anything."""
    # What costs least comes first: most scripts have no such text.
    if not _has_row(text, _FRAMED) or not any(word in text for word in _WORDS) or _DECODERS.search(text) is None:
        return False
    if name.endswith(MODULES) and _RUNS.search(text) is None:
        return False
    known = [(hidden.begin, hidden.end) for hidden in islice(encoded(text, script=True), MOST)]
    for found in _LONG.finditer(text):
        inside = any(begin <= found.start() < end for begin, end in known)
        pem = text[max(found.start() - 64, 0) : found.start()].rstrip().endswith(b"-----")
        if len(found.group()) >= _CLOSED and not inside and not pem and not _is_data(from_base64(found.group())):
            return True
    return any(
        len(letters) >= _CLOSED
        and not any(low <= begin < high for low, high in known)
        and not _is_data(from_base64(letters))
        for begin, _end, letters in _framed(text)
    )


def _is_data(content: bytes) -> bool:
    """Whether what was decoded is a text, a picture, a font, or a certificate or key (DER)."""
    return is_plain(content) or is_inert(content, "") or content[:2] == b"\x30\x82"
