"""A recorded series of a needle, whose tilt axis is nearly along x: four methods agree about it."""

import numpy as np
import pytest

from chemtomo.align import (
    axis_preview,
    center_of_mass,
    com_common_line,
    com_path,
    current,
    phase_correlation,
    set_axis,
    stackreg,
)
from chemtomo.io import read


@pytest.fixture(scope="module")
def needle(data_folder):
    (series,) = read([data_folder / "vendor" / "HAADF.dm3"]).series
    return series


@pytest.mark.parametrize("register", [center_of_mass, com_common_line, phase_correlation, stackreg])
def test_the_methods_agree_about_the_axis_and_slices_become_sharp(needle, register):
    start = set_axis(current(needle), 90.0, 0.0)
    found = com_path(needle, register(needle, start))
    assert found.axis_angle_deg == pytest.approx(79.47, abs=0.1)
    assert np.nanmedian(found.residual_px) < 0.1
    before, after = (axis_preview(needle, one, (0.3, 0.5, 0.7)).astype(float) for one in (start, found))
    sharpness = [(one**4).sum() / (one**2).sum() ** 2 for one in (before, after)]
    assert sharpness[1] > sharpness[0]
