"""Check an OpenCL device: ``python -m chemtomo.opencl.check [DEVICE]``.

Compiles every kernel of the installed package on the device, as problems of several kinds need
them, and compares a small projection with the reference. Prints the error and exits with status 1
if something fails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from chemtomo.errors import ChemTomoError, DeviceError
from chemtomo.geometry import ParallelBeam
from chemtomo.opencl.choice.choosing import choose_device
from chemtomo.opencl.device import DeviceInfo
from chemtomo.opencl.layout import Layout
from chemtomo.operators import Projector, dot_test

__all__ = ["check", "main", "try_projector"]

_RELATIVE_TOLERANCE = 1e-5
_DOT_TEST_TOLERANCE = 1e-6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check and print what it finds; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m chemtomo.opencl.check", description="Compile every kernel and try the projector."
    )
    parser.add_argument(
        "device", nargs="?", default="auto", help="auto, gpu, cpu, or number or part of the name of a device"
    )
    wanted = parser.parse_args(arguments).device
    try:
        for line in check(wanted):
            print(line, flush=True)
    except (ChemTomoError, OSError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


def check(wanted: str | None = None) -> Iterator[str]:
    """Compile every kernel and test the projector; yield one line per check.

    Parameters
    ----------
    wanted : str, optional
        See `chemtomo.opencl.choice.choosing`.

    Raises
    ------
    DeviceError
        When there is no such device, or a check fails.
    OSError
        When a kernel file is missing from the package.
    """
    device = choose_device(wanted)
    if device is None:
        raise DeviceError("found the reference 'numpy'; expected an OpenCL device, to compile kernels on it")
    yield f"device {device.number}: {device.name} ({device.kind}, {device.platform})"

    from chemtomo.opencl.program import KERNEL_FILES, build  # loads pyopencl

    variants = problem_constants(device)
    for name in KERNEL_FILES:
        for constants in variants:
            build(name, device, constants)
        yield f"{name}: compiled for {len(variants)} kinds of problems"
    yield try_projector(device)


def problem_constants(device: DeviceInfo) -> list[dict[str, int]]:
    """Return the constants of several kinds of problems: the defaults, and one, a few and many slices."""
    return [
        {},
        Layout.for_device(1, 1, device).defines()
        | {"DIMS": 2, "COUPLED": 0, "SECOND_ORDER": 0, "KULLBACK_LEIBLER": 0, "POSITIVITY_DUAL": 0}
        | {"GRID_X": 18, "GRID_Y": 1, "GRID_Z": 15},
        Layout.for_device(4, 11, device).defines()
        | {"GRID_X": 32, "GRID_Y": 1, "GRID_Z": 25, "DIMS": 2}
        | {"BACKGROUND": 1, "VALIDITY": 1},
        Layout.for_device(3, 70, device).defines() | {"GRID_X": 24, "GRID_Y": 72, "GRID_Z": 20},
    ]


def try_projector(device: DeviceInfo) -> str:
    """Compare a small projection on a device with the reference, and test its adjoint; return the errors.

    Raises
    ------
    DeviceError
        When they differ by more than rounding.
    """
    from chemtomo.opencl.projector import OpenCLProjector  # loads pyopencl

    geometry = ParallelBeam([-61.5, 0, 20, 45, 90], 23, (14, 17))
    projector = OpenCLProjector(geometry, 2, 3, device)
    mismatch = dot_test(projector, dtype=np.float32)
    if not mismatch < _DOT_TEST_TOLERANCE:
        raise DeviceError(
            f"{device.name}: projection and back-projection differ by {mismatch:.1e} in the dot test; "
            f"expected less than {_DOT_TEST_TOLERANCE:.0e}"
        )
    volume = np.random.default_rng(0).random(projector.domain_shape)
    expected = Projector(geometry, 2, 3).forward(volume)
    difference = float(np.abs(projector.forward(volume) - expected).max() / expected.max())
    if not difference < _RELATIVE_TOLERANCE:
        raise DeviceError(
            f"{device.name}: its projections differ from the reference by {difference:.1e} of the maximum; "
            f"expected less than {_RELATIVE_TOLERANCE:.0e}"
        )
    return f"projector: dot test {mismatch:.1e}, {difference:.1e} from the reference"


if __name__ == "__main__":
    sys.exit(main())
