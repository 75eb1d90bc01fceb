import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import to_nanometre
from chemtomo.errors import DataError

SPELLINGS = {
    "A Å \u212b ang angstrom Angstrom Angstroms ANGSTROM angström Ångström": 0.1,
    "pm PM picometer picometre": 1e-3,
    "nm NM nanometer nanometre nanometers Nanometer": 1,
    "um UM \u00b5m \u03bcm Â\u00b5m \ufffdm micron microns Micron MICRONS micrometer micrometre": 1e3,
    "mm MM millimeter": 1e6,
    "cm centimeter": 1e7,
    "m meter metre meters": 1e9,
}


@pytest.mark.parametrize(
    ("unit", "nanometres"), [(unit, size) for units, size in SPELLINGS.items() for unit in units.split()]
)
@given(value=st.floats(1e-12, 1e12))
def test_every_spelling_of_a_length_is_that_length(unit, nanometres, value):
    assert to_nanometre(value, unit) == pytest.approx(value * nanometres, rel=1e-12)
    assert to_nanometre(value, f" {unit}\0") == to_nanometre(value, unit)


@pytest.mark.parametrize("unit", ["px", "pixel", "pixels", "Pixel", "reference frame", "", "au", "a.u.", "a"])
def test_pixels_and_arbitrary_units_are_no_lengths(unit):
    with pytest.raises(DataError, match="expected a length"):
        to_nanometre(1, unit)


@pytest.mark.parametrize(
    "unit",
    [
        *("ampere", "s", "furlongs per fortnight", "nonsense", "1/nm", "nm^-1", "inch", "pt", "ly", "parsec"),
        # Megametre and petametre, which differ from the millimetre and the picometre by the capital only.
        *("Mm", "Pm", "M", "km", "deg", "eV"),
    ],
)
def test_what_is_no_length_of_microscopy_is_refused(unit):
    with pytest.raises(DataError, match="expected a length"):
        to_nanometre(1, unit)
