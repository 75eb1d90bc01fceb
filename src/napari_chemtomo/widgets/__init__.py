"""The dock widgets."""

from napari_chemtomo.widgets.element_maps import ElementMapsWidget
from napari_chemtomo.widgets.reconstruct import ReconstructWidget

__all__ = ["ElementMapsWidget", "ReconstructWidget"]
