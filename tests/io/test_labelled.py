"""What spectra are of where the file does not say it: range and step of their energies tell."""

import numpy as np
import pytest

from chemtomo.io.labelled import Axis, LabelledArray, to_found


def found(channels, scale, offset=0.0, units="eV", signal_type="", name="Energy"):
    axes = (
        Axis("y", 2, 1.0, 0.0, "nm"),
        Axis("x", 3, 1.0, 0.0, "nm"),
        Axis(name, channels, scale, offset, units),
    )
    return to_found(LabelledArray("s", np.zeros((2, 3, channels), np.uint16), axes, signal_type=signal_type))


@pytest.mark.parametrize(
    ("channels", "scale", "offset", "units", "signal"),
    [
        (4000, 5, 0, "eV", "EDX"),  # TIA
        (4096, 5, -480, "eV", "EDX"),
        (2048, 10, -200, "eV", "EDX"),
        (1024, 20, 0, "eV", "EDX"),
        (4000, 0.005, 0, "keV", "EDX"),
        (4000, 0.005, 0, "", "EDX"),
        (2048, 0.01, -0.2, "", "EDX"),
        (2048, 1, 0, "eV", "EELS"),
        (2048, 0.1, -20, "eV", "EELS"),
        (2048, 1.5, 300, "eV", "EELS"),
        (2048, 0.5, 400, "", "EELS"),
    ],
)
def test_range_and_step_tell_edx_from_eels(channels, scale, offset, units, signal):
    one = found(channels, scale, offset, units)
    assert one.spectrum_signal == signal
    assert any(f"taken for {signal}" in note for note in one.notes)
    factor = 1e-3 if units == "eV" or (not units and signal == "EELS") else 1
    assert one.energy.step_keV == pytest.approx(scale * factor)
    assert one.energy.offset_keV == pytest.approx(offset * factor)


@pytest.mark.parametrize(("said", "signal"), [("EELS", "EELS"), ("EDS_TEM", "EDX")])
def test_what_a_file_says_comes_first(said, signal):
    for channels, scale in ((4000, 5), (2048, 0.5)):
        one = found(channels, scale, signal_type=said)
        assert one.spectrum_signal == signal
        assert not any("taken for" in note for note in one.notes)
