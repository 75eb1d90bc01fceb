"""OpenCL devices, and the operators and updates of the other packages on them.

The only package that imports pyopencl; `chemtomo.opencl.device` does so when it is first asked.
"""

from chemtomo.opencl.device import DeviceInfo, choose_device, list_devices

__all__ = ["DeviceInfo", "choose_device", "list_devices"]
