"""What the rest of the program speaks about: tilt series, spectra, datasets and volumes."""

from chemtomo.data.alignment import Alignment
from chemtomo.data.dataset import Dataset
from chemtomo.data.spectrum_image import EnergyAxis, SpectrumSeries, SpectrumSignal
from chemtomo.data.tilt_series import SignalKind, TiltSeries
from chemtomo.data.units import to_nanometre
from chemtomo.data.volume import Volume

__all__ = [
    "Alignment",
    "Dataset",
    "EnergyAxis",
    "SignalKind",
    "SpectrumSeries",
    "SpectrumSignal",
    "TiltSeries",
    "Volume",
    "to_nanometre",
]
