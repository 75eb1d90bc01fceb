"""Show a volume in a napari window of its own: ``python -m napari_chemtomo.demo VOLUME``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from chemtomo.data import Volume
from chemtomo.io import read_volume
from napari_chemtomo.layers.volume import volume_layers

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["add_volume", "show"]

# From obliquely above, so that all three directions are seen.
_ANGLES_DEG = (-15.0, 45.0, 150.0)


def add_volume(viewer: Viewer, volume: Volume) -> None:
    """Add a volume to a viewer, one additive layer per channel, and look at it in 3D."""
    for data, attributes, _ in volume_layers(volume):
        viewer.add_image(data, **attributes)
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.dims.ndisplay = 3
    viewer.scene.camera.angles = _ANGLES_DEG
    viewer.fit_to_view()


def show(volume: Volume) -> None:
    """Show a volume in 3D, and return when the window is closed."""
    import napari

    add_volume(napari.Viewer(title="ChemTomo", show_welcome_screen=False), volume)
    napari.run()


if __name__ == "__main__":
    show(read_volume(sys.argv[1]))
