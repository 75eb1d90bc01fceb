"""Damage done to files, the same every time for the same number."""

from __future__ import annotations

import random
import re
import struct

__all__ = ["KINDS", "mutate"]

# Sizes and offsets that overflow, that ask for all memory, or that are just past an end.
_INTEGERS = (
    0,
    1,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    0x7FFFFFFFFFFFFFFF,
)
_FLOATS = (float("nan"), float("inf"), -float("inf"), -1.0, 0.0, 1e308)
# Where formats keep their sizes and offsets.
_HEADER = 2048


def mutate(whole: bytes, number: int) -> tuple[str, bytes]:
    """Return what was done and the damaged bytes; mutation `number` of a file is always the same one."""
    rng = random.Random(number)
    kind = KINDS[number % len(KINDS)]
    return kind, bytes(_FUNCTIONS[kind](bytearray(whole), rng))


def _place(whole: bytearray, rng: random.Random) -> int:
    """Choose a place, in the header as often as in all the rest."""
    return rng.randrange(min(len(whole), _HEADER) if rng.random() < 0.5 else len(whole))


def _bits(whole: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 1, 4, 32))):
        whole[_place(whole, rng)] ^= 1 << rng.randrange(8)
    return whole


def _bytes(whole: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 2, 8))):
        whole[_place(whole, rng)] = rng.randrange(256)
    return whole


def _truncated(whole: bytearray, rng: random.Random) -> bytearray:
    return whole[: _place(whole, rng)]


def _integer(whole: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 1, 3))):
        at = _place(whole, rng)
        at -= at % 4 if rng.random() < 0.8 else 0
        size, code = rng.choice(((2, "H"), (4, "I"), (8, "Q")))
        value = rng.choice(_INTEGERS) & ((1 << 8 * size) - 1)
        whole[at : at + size] = struct.pack(rng.choice("<>") + code, value)
    return whole


def _number(whole: bytearray, rng: random.Random) -> bytearray:
    at = _place(whole, rng)
    at -= at % 4
    size, code = rng.choice(((4, "f"), (8, "d")))
    value = rng.choice(_FLOATS)
    value = 3e38 if code == "f" and value == 1e308 else value
    whole[at : at + size] = struct.pack(rng.choice("<>") + code, value)
    return whole


def _swapped(whole: bytearray, rng: random.Random) -> bytearray:
    at, size = _place(whole, rng), rng.choice((2, 4, 8, 64))
    whole[at : at + size] = whole[at : at + size][::-1]
    return whole


def _inserted(whole: bytearray, rng: random.Random) -> bytearray:
    at = _place(whole, rng)
    whole[at:at] = rng.randbytes(rng.choice((1, 4, 100)))
    return whole


def _removed(whole: bytearray, rng: random.Random) -> bytearray:
    at = _place(whole, rng)
    del whole[at : at + rng.choice((1, 4, 100))]
    return whole


def _repeated(whole: bytearray, rng: random.Random) -> bytearray:
    at = _place(whole, rng)
    whole[at:at] = whole[at : at + rng.choice((16, 256))]
    return whole


def _zeros(whole: bytearray, rng: random.Random) -> bytearray:
    at, size = _place(whole, rng), rng.choice((4, 64, 1024))
    whole[at : at + size] = rng.choice((b"\0", b"\xff")) * len(whole[at : at + size])
    return whole


def _digits(whole: bytearray, rng: random.Random) -> bytearray:
    """Change a number that is written as text, or a letter where there is none."""
    digit = re.compile(b"[0-9]").search(whole, _place(whole, rng))
    at = digit.start() if digit is not None else _place(whole, rng)
    text = rng.choice((b"9" * 20, b"-1", b"0", b"nan", b"1e400", b"", b"x", b"\xff", b'"', b"<", b"{", b"\0"))
    whole[at : at + 1] = text
    return whole


def _text(whole: bytearray, rng: random.Random) -> bytearray:
    return bytearray(
        rng.choice((b"This is a letter, not an image.\n" * 40, b"0\n1\n2\n", b"{}", b"<a/>", b"\n"))
    )


def _noise(whole: bytearray, rng: random.Random) -> bytearray:
    return whole[: rng.choice((4, 16, 64, 512))] + rng.randbytes(2000)


def _empty(whole: bytearray, rng: random.Random) -> bytearray:
    return bytearray()


_FUNCTIONS = {
    "bits": _bits,
    "integer": _integer,
    "truncated": _truncated,
    "bytes": _bytes,
    "number": _number,
    "swapped": _swapped,
    "inserted": _inserted,
    "digits": _digits,
    "removed": _removed,
    "zeros": _zeros,
    "repeated": _repeated,
    "noise": _noise,
    "text": _text,
    "empty": _empty,
}
# Those that find most come several times.
KINDS = (*_FUNCTIONS, "bits", "integer", "integer", "integer", "truncated", "bytes", "digits")
"""What is done, in turns."""
