"""Where things are: the parallel-beam geometry of a tilt series, and affine maps of its projections."""

from chemtomo.geometry.parallel_beam import ParallelBeam

__all__ = ["ParallelBeam"]
