"""Reconstruction: from a dataset to a volume."""

from chemtomo.recon.prepare import Settings, prepare
from chemtomo.recon.reconstruction import Reconstruction

__all__ = ["Reconstruction", "Settings", "prepare"]
