"""Channels that are named by an element, and those that are not."""

import pytest

from chemtomo.io.interpret.elements import SYMBOLS, element_of


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("Fe", "Fe"),
        ("Fe Ka", "Fe"),
        ("Fe_Ka1", "Fe"),
        ("FeK", "Fe"),
        ("O-EELS", "O"),
        ("O K", "O"),
        ("Ti L2,3", "Ti"),
        ("Si map", "Si"),
        ("C", "C"),
        (" Co ", "Co"),
    ],
)
def test_an_element_is_found_with_its_line_or_method(name, symbol):
    assert element_of(name) == symbol


@pytest.mark.parametrize(
    "name", ["HAADF", "BF", "DF-S", "CM", "CO", "EDX", "SI", "a", "", "Ref Fe", "Xx", "Iron"]
)
def test_other_names_are_no_elements(name):
    assert element_of(name) is None


def test_symbols_are_by_atomic_number():
    assert (SYMBOLS[0], SYMBOLS[7], SYMBOLS[25], SYMBOLS[78]) == ("H", "O", "Fe", "Au")
    assert len(set(SYMBOLS)) == len(SYMBOLS)
