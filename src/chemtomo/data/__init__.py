"""The data of the program: tilt series, spectra, datasets, volumes and alignments."""

from chemtomo.data.alignment import Alignment
from chemtomo.data.dataset import Dataset
from chemtomo.data.origin import Origin
from chemtomo.data.spectrum_image import EnergyAxis, SpectrumSeries, SpectrumSignal
from chemtomo.data.tilt_series import SignalKind, TiltSeries
from chemtomo.data.units import to_nanometre
from chemtomo.data.volume import Volume

__all__ = [
    "Alignment",
    "Dataset",
    "EnergyAxis",
    "Origin",
    "SignalKind",
    "SpectrumSeries",
    "SpectrumSignal",
    "TiltSeries",
    "Volume",
    "to_nanometre",
]
