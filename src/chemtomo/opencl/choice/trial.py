"""Time a small reconstruction on one device: ``python -m chemtomo.opencl.choice.trial NUMBER``.

Prints the seconds of an iteration. Ends with the status 1 and a sentence where the device fails, and that is
also where it computes something else than the reference.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from chemtomo.errors import ChemTomoError
from chemtomo.functionals import Problem
from chemtomo.geometry import ParallelBeam
from chemtomo.opencl.check import try_projector
from chemtomo.opencl.device import DeviceInfo, found_devices
from chemtomo.solvers.primal_dual import PaperIteration

__all__ = ["seconds_of_an_iteration"]

_CHANNELS, _TILTS, _SLICES, _EDGE = 4, 24, 16, 128
_ITERATIONS = 40


def seconds_of_an_iteration(device: DeviceInfo) -> float:
    """Return the seconds of the fastest of some iterations of joint TGV in 3D.

    Raises
    ------
    DeviceError
        When the device fails, or its projections are wrong.
    """
    from chemtomo.opencl.variational import OpenCLBackend  # loads pyopencl

    try_projector(device)
    geometry = ParallelBeam(np.linspace(-70, 70, _TILTS), _EDGE, (_EDGE, _EDGE))
    counts = np.random.default_rng(0).poisson(3, (_CHANNELS, _TILTS, _SLICES, _EDGE))
    problem = Problem(
        geometry=geometry,
        data=counts.astype(np.float32),
        weights=np.ones(_CHANNELS),
        alpha0=4.0,
        alpha1=1.0,
        dims=3,
        data_term="kl",
        coupling="frobenius",
        second_order=True,
        operator_norm=float(_EDGE),  # above the true one, which would take longer to find
    )
    backend = OpenCLBackend(problem, device)
    steps = PaperIteration(backend)
    steps.advance()
    backend.finish()
    seconds = []
    for _ in range(_ITERATIONS):
        start = time.perf_counter()
        steps.advance()
        backend.finish()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{seconds_of_an_iteration(found_devices()[int(sys.argv[1])])}\n")
    except ChemTomoError as error:
        sys.exit(str(error))
