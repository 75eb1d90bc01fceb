from __future__ import annotations

import weakref

import numpy as np
import pytest

pytest.importorskip("napari", reason="napari is not installed; the extra 'all' brings it")

from napari.components import ViewerModel

from napari_chemtomo.shared.layer_choice import LayerFollower


class Owner:
    def __init__(self, viewer):
        self.calls = 0
        self.follower = LayerFollower(viewer, self.changed)

    def changed(self):
        self.calls += 1


def test_layers_their_names_and_metadata_are_followed_until_they_go():
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((4, 4)))
    owner = Owner(viewer)
    for change in (
        lambda: viewer.add_image(np.zeros((4, 4))),
        lambda: setattr(layer, "name", "other"),
        lambda: setattr(layer, "metadata", {"a": 1}),
        lambda: viewer.layers.remove(layer),
    ):
        before = owner.calls
        change()
        assert owner.calls > before
    before = owner.calls
    layer.name = "gone"
    assert owner.calls == before


def test_it_goes_with_the_widget_that_keeps_it():
    viewer = ViewerModel()
    owner = Owner(viewer)
    followed = weakref.ref(owner.follower)
    del owner
    assert followed() is None
    viewer.add_image(np.zeros((4, 4)))
