"""Simulated samples and acquisitions, for trying things out and for tests with a known truth."""

from chemtomo.samples.acquisition import phantom
from chemtomo.samples.specimen import CHANNELS, phantom_volume

__all__ = ["CHANNELS", "phantom", "phantom_volume"]
