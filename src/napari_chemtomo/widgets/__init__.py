"""The dock widgets."""

from napari_chemtomo.widgets.reconstruct import ReconstructWidget

__all__ = ["ReconstructWidget"]
