"""The primal-dual iterations for TV and TGV on a device."""

from chemtomo.opencl.variational.backend import OpenCLBackend
from chemtomo.opencl.variational.variables import upload_ahead

__all__ = ["OpenCLBackend", "upload_ahead"]
