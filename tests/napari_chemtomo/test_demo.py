"""A volume in a window of its own."""

from __future__ import annotations

import napari
import numpy as np

from chemtomo.data import Volume
from napari_chemtomo import demo


def test_a_volume_is_shown_in_3d(viewer, monkeypatch):
    data = np.random.default_rng(0).random((2, 6, 5, 4)).astype(np.float32)
    monkeypatch.setattr(napari, "Viewer", lambda **options: viewer)
    waited = []
    monkeypatch.setattr(napari, "run", lambda: waited.append(True))

    demo.show(Volume(data, ("HAADF", "Al"), 2.0))

    assert waited
    assert viewer.dims.ndisplay == 3
    assert [layer.name for layer in viewer.layers] == ["HAADF", "Al"]
    assert all(layer.blending == "additive" for layer in viewer.layers)
    for layer, channel in zip(viewer.layers, data, strict=True):
        np.testing.assert_array_equal(layer.data, channel)
