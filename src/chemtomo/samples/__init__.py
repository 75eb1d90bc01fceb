"""Simulated samples and acquisitions, for demonstrations and for tests against a known truth."""

from chemtomo.samples.acquisition import phantom
from chemtomo.samples.alignment_error import AlignmentError, alignment_error
from chemtomo.samples.particles import Misalignment, Simulated, particles
from chemtomo.samples.published_phantom import huber2019, huber2019_volume
from chemtomo.samples.specimen import CHANNELS, phantom_volume
from chemtomo.samples.specimens import SPECIMENS, specimen_series, specimen_volume

__all__ = [
    "CHANNELS",
    "SPECIMENS",
    "AlignmentError",
    "Misalignment",
    "Simulated",
    "alignment_error",
    "huber2019",
    "huber2019_volume",
    "particles",
    "phantom",
    "phantom_volume",
    "specimen_series",
    "specimen_volume",
]
