"""A description of a device in memory, as PoCL has it, with a processor that LLVM does not know."""

import ctypes
import platform
import sys

import pytest

from chemtomo.opencl.drivers.pocl_processor import name_unknown_processor, processor_with

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="PoCL from PyPI is for Linux on x86-64"
)


def description(name: bytes, place: int) -> tuple[ctypes.Array[ctypes.c_uint64], ctypes.Array[ctypes.c_char]]:
    """Numbers that are no addresses, among them one that is: that of the name."""
    text = ctypes.create_string_buffer(name)
    words = (ctypes.c_uint64 * 512)(*range(3, 512 * 1001, 1001))
    words[place] = ctypes.addressof(text)
    return words, text


@pytest.mark.parametrize("place", [0, 17, 511])
def test_an_unknown_processor_gets_a_name(place: int) -> None:
    words, text = description(b"generic", place)
    before = list(words)
    name = name_unknown_processor(ctypes.addressof(words))
    assert name is not None
    assert ctypes.string_at(words[place]) == name.encode()
    assert text.value == b"generic"  # the text itself is PoCL's
    assert [word for at, word in enumerate(words) if at != place] == before[:place] + before[place + 1 :]


@pytest.mark.parametrize("known", [b"znver3", b"haswell", b"generic-rv64", b""])
def test_a_known_processor_keeps_its_name(known: bytes) -> None:
    words, text = description(known, 40)
    before = list(words)
    assert name_unknown_processor(ctypes.addressof(words)) is None
    assert list(words) == before
    assert text.value == known


@pytest.mark.parametrize(
    ("instructions", "name"),
    [
        ({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma"}, "skylake-avx512"),
        ({"avx512f", "avx", "avx2", "fma", "bmi1", "bmi2", "f16c"}, "haswell"),
        ({"avx", "f16c", "sse2"}, "ivybridge"),
        ({"sse2"}, "x86-64"),
    ],
)
def test_a_processor_has_none_but_the_instructions(instructions: set[str], name: str) -> None:
    assert processor_with(instructions) == name
