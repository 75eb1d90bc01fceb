"""OpenCL devices, and the operators and updates of the other packages on them.

The only package that imports pyopencl; `chemtomo.opencl.device` does so when it is first asked for devices.
"""

from chemtomo.opencl.choice.choosing import choose_device, list_devices
from chemtomo.opencl.device import DeviceInfo

__all__ = ["DeviceInfo", "choose_device", "list_devices"]
