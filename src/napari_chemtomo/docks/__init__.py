"""The dock widgets."""

from napari_chemtomo.docks.align.link_channels import LinkChannelsWidget
from napari_chemtomo.docks.align.register import RegisterWidget
from napari_chemtomo.docks.align.tilt_axis import TiltAxisWidget
from napari_chemtomo.docks.maps.dock import ElementMapsWidget
from napari_chemtomo.docks.prepare.dock import PrepareWidget
from napari_chemtomo.docks.reconstruct.dock import ReconstructWidget

__all__ = [
    "ElementMapsWidget",
    "LinkChannelsWidget",
    "PrepareWidget",
    "ReconstructWidget",
    "RegisterWidget",
    "TiltAxisWidget",
]
