"""Reconstruction: from a dataset to a volume."""

from chemtomo.recon.reconstruction import Reconstructed, reconstruct
from chemtomo.recon.settings import Settings

__all__ = ["Reconstructed", "Settings", "reconstruct"]
