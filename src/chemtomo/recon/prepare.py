"""Make a reconstruction ready to run."""

from __future__ import annotations

from chemtomo.data import Dataset
from chemtomo.opencl import choose_device
from chemtomo.recon.frame import Frame
from chemtomo.recon.reconstruction import Reconstruction
from chemtomo.recon.settings import Settings
from chemtomo.recon.sirt import SirtReconstruction
from chemtomo.recon.variational import VariationalReconstruction

__all__ = ["Settings", "prepare"]


def prepare(dataset: Dataset, settings: Settings) -> Reconstruction:
    """Crop the data, put it on a device and set the method up.

    Parameters
    ----------
    dataset : Dataset
        Signals of one geometry, aligned.
    settings : Settings
        Method, weights, ranges and device.

    Raises
    ------
    DataError
        When the data is not fit for the method.
    ParameterError
        When a range or a name does not fit the data.
    DeviceError
        When the device is not there, or has not enough memory.
    """
    device = choose_device(settings.device)
    frame = Frame.of(dataset, settings.slices, settings.crop, settings.keep_crop)
    if settings.method == "sirt":
        return SirtReconstruction(frame, settings, device)
    return VariationalReconstruction(frame, settings, device)
