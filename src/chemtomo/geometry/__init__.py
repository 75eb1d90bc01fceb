"""Where things are: the parallel-beam geometry of a tilt series."""

from chemtomo.geometry.parallel_beam import ParallelBeam

__all__ = ["ParallelBeam"]
