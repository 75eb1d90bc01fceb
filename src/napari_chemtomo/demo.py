"""Show a volume in a napari window of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chemtomo.data import Volume
from napari_chemtomo.layers import volume_layers

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["open_volume", "show"]


def open_volume(volume: Volume) -> Viewer:
    """Open a viewer that shows a volume in 3D, one additive layer a channel."""
    from napari import Viewer

    viewer = Viewer(ndisplay=3, title="ChemTomo")
    for data, attributes, _ in volume_layers(volume):
        viewer.add_image(data, **attributes)
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.reset_view()
    viewer.scene.camera.angles = (0.0, -30.0, 30.0)
    return viewer


def show(volume: Volume) -> None:
    """Show a volume in 3D, and return when the window is closed."""
    import napari

    open_volume(volume)
    napari.run()
