import pytest

from chemtomo.data import to_nanometre
from chemtomo.errors import DataError


@pytest.mark.parametrize("unit", ["A", "angstrom", "\u00c5", "\u212b", " A "])
def test_every_spelling_of_the_angstrom_is_a_length(unit):
    assert to_nanometre(25, unit) == pytest.approx(2.5, rel=1e-12)


@pytest.mark.parametrize(
    ("unit", "nanometres"), [("nm", 1), ("pm", 1e-3), ("um", 1e3), ("µm", 1e3), ("\u03bcm", 1e3), ("m", 1e9)]
)
def test_lengths(unit, nanometres):
    assert to_nanometre(3, unit) == pytest.approx(3 * nanometres, rel=1e-12)


@pytest.mark.parametrize("unit", ["ampere", "s", "furlongs per fortnight", "nonsense", "1/nm"])
def test_what_is_no_length_is_refused(unit):
    with pytest.raises(DataError, match="expected a length"):
        to_nanometre(1, unit)
