"""What holds for every step: inputs stay, lazy is eager, counts stay counts, and it is recorded."""

from __future__ import annotations

import json

import dask.array as da
import numpy as np
import pytest

from chemtomo import preprocess
from chemtomo.preprocess import ScanDrift
from chemtomo.preprocess.stacks import lazy_series

DRIFT = ScanDrift(np.full((5, 2), 0.03), np.full((5, 2), 0.4), np.zeros(5), np.full(5, 8))

STEPS = {
    "crop_detector": lambda one: preprocess.crop(one, x=(2, 13)),
    "select_slices": lambda one: preprocess.crop(one, y=(3, 9)),
    "pad": lambda one: preprocess.pad(one, x=3, y=1),
    "bin_pixels": lambda one: preprocess.bin_pixels(one, 3),
    "drop_tilts": lambda one: preprocess.drop_tilts(one, [1, 4]),
    "sort_by_tilt": preprocess.sort_by_tilt,
    "remove_hot_pixels": preprocess.remove_hot_pixels,
    "mask_pixels": lambda one: preprocess.mask_pixels(one, np.eye(12, 16, dtype=bool)),
    "median_filter": preprocess.median_filter,
    "gaussian_filter": preprocess.gaussian_filter,
    "band_pass": preprocess.band_pass,
    "sobel_filter": preprocess.sobel_filter,
    "constant_background": lambda one: preprocess.constant_background(one, 0.5),
    "edge_background": lambda one: preprocess.edge_background(one, 3),
    "threshold_background": lambda one: preprocess.mask_background(one, level=4.0),
    "otsu_background": preprocess.mask_background,
    "with_estimated_gains": preprocess.with_estimated_gains,
    "with_dose": lambda one: preprocess.with_dose(one, [1, 2, 3, 4, 5]),
    "clip_negative": preprocess.clip_negative,
    "equalise_brightness": preprocess.equalise_brightness,
    "scale_percentiles": lambda one: preprocess.scale_percentiles(one, 1, 98),
    "threshold": lambda one: preprocess.threshold(one, 2),
    "correct_scan_drift": lambda one: preprocess.correct_scan_drift(one, DRIFT),
}
COUNTS_STAY = set(STEPS) - {
    "median_filter", "gaussian_filter", "band_pass", "sobel_filter",
    "equalise_brightness", "scale_percentiles",
}  # fmt: skip


def values(series):
    return {
        "data": series.values(),
        "background": None if series.background is None else np.asarray(series.background),
        "valid": None if series.valid is None else np.asarray(series.valid),
        "tilts": series.tilts_deg,
        "gains": series.gains,
        "shifts": series.detector_shifts_px,
        "axis": series.axis_position,
        "pixel": series.pixel_size_nm,
        "kind": series.kind,
    }


@pytest.mark.parametrize("name", STEPS)
class TestEveryStep:
    def test_it_is_recorded_ready_for_json(self, full, name):
        done = STEPS[name](full)
        assert done.provenance[-1]["step"] == name
        assert len(done.provenance) == 1
        json.dumps(done.provenance)
        assert set(full.notes) <= set(done.notes)

    def test_the_input_stays(self, full, name):
        before = values(full)
        STEPS[name](full)  # its arrays are read-only: to write to one fails
        for key, value in values(full).items():
            np.testing.assert_array_equal(value, before[key])

    def test_lazy_is_eager(self, full, name):
        eager, lazily = STEPS[name](full), STEPS[name](lazy_series(full))
        assert isinstance(eager.data, np.ndarray)
        assert isinstance(lazily.data, da.Array)
        assert lazily.data.dtype == eager.data.dtype
        assert all(size == 1 for size in lazily.data.chunks[0])
        found, expected = values(lazily), values(eager)
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value, err_msg=key)

    def test_counts_are_never_negative(self, full, name):
        done = STEPS[name](full)
        assert done.kind == ("counts" if name in COUNTS_STAY else "intensity")
        if name in COUNTS_STAY:
            assert done.values().min() >= 0
        assert np.isfinite(done.values()).all()


@pytest.mark.parametrize("name", [one for one in STEPS if one not in ("drop_tilts", "sort_by_tilt")])
def test_one_projection_can_be_prepared_without_the_others(full, name):
    """A lazy series is not read for a step that looks at projections one by one."""
    read = []

    def look(block, block_id):
        read.append(block_id[0])
        return block

    watched = da.map_blocks(look, lazy_series(full).data, meta=np.empty((0, 0, 0), full.data.dtype))
    watched = full.replace(data=watched)
    done = STEPS[name](watched)
    whole_stack = {"with_estimated_gains", "equalise_brightness", "scale_percentiles"}
    if name not in whole_stack:
        assert not read
        np.asarray(done.data[3])
        assert set(read) == {3}
