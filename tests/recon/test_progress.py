"""What a run says of its slices while it goes on is what the finished volume says of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chemtomo.pipeline import ReconstructParameters
from chemtomo.recon import reconstruct
from chemtomo.samples import phantom
from chemtomo.solvers import Limits


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"slices": (2, 6)},
        {"keep_crop": True},
        {"crop": "none", "keep_crop": True},
        {"crop": (3, 17), "keep_crop": True, "slices": (1, 4)},
        {"crop": (3, 17)},
    ],
    ids=str,
)
@pytest.mark.parametrize("axis", [None, 8.0])
def test_slices_are_where_the_volume_has_them(values: dict[str, Any], axis: float | None) -> None:
    dataset = phantom((8, 20), tilts=6).map(lambda series: series.replace(axis_position_px=axis))
    settings = ReconstructParameters(method="sirt", device="numpy", **values)
    running = reconstruct(dataset, settings, Limits(2))
    next(running)
    last = next(running)
    images = [last.slice(y) for y in range(last.slices)]
    with pytest.raises(StopIteration) as end:
        next(running)
    volume = end.value.value.volume
    assert (last.origin_px, last.voxel_size_nm) == (volume.origin_px, volume.voxel_size_nm)
    np.testing.assert_array_equal(np.stack(images, axis=2), volume.data)
    places = (np.arange(last.slices) + volume.origin_px[1]) * volume.voxel_size_nm
    assert [last.slice_at(place) for place in places] == list(range(last.slices))
    assert last.slice_at(places[0] - 1e3) == 0
    assert last.slice_at(places[-1] + 1e3) == last.slices - 1
