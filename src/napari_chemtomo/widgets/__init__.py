"""The dock widgets."""

from napari_chemtomo.widgets.element_maps import ElementMapsWidget
from napari_chemtomo.widgets.link_channels import LinkChannelsWidget
from napari_chemtomo.widgets.prepare import PrepareWidget
from napari_chemtomo.widgets.reconstruct import ReconstructWidget
from napari_chemtomo.widgets.register import RegisterWidget
from napari_chemtomo.widgets.tilt_axis import TiltAxisWidget

__all__ = [
    "ElementMapsWidget",
    "LinkChannelsWidget",
    "PrepareWidget",
    "ReconstructWidget",
    "RegisterWidget",
    "TiltAxisWidget",
]
