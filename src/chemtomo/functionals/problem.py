"""The reconstruction problem: everything that defines the answer, and nothing of how to find it."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from typing import Literal

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError, ParameterError
from chemtomo.functionals.data_terms import (
    DataTerm,
    DataTermName,
    KullbackLeibler,
    SeparateDataTerms,
    SquaredL2,
)
from chemtomo.functionals.norms import Coupling
from chemtomo.functionals.total_variation import TotalGeneralizedVariation, TotalVariation
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import BinnedProjector
from chemtomo.operators.base import FloatArray, float64_of_shape

__all__ = ["Problem"]


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """Joint reconstruction of all channels (Huber et al. 2019, equation 13, with ``mu = m``).

    Minimise over ``u >= 0`` and ``w``

    ``sum_c m_c sum_t k_ct D(A u_ct + b_ct, f_ct) + alpha1 ||grad u - w|| + alpha0 ||sym w||``

    with the normalised projector ``A = T / n``: ``u`` is ``n`` times the density. Without the
    second order, ``w = 0`` and the last term is left out (total variation).

    The weights ``k`` of the projections, 1 by default, are 0 where a channel was not recorded at a tilt of
    the geometry. A gain ``g`` of a projection, with which its expected value is ``g T u + b``, is one too:
    the Kullback-Leibler divergence of ``f`` is ``g`` times that of ``f / g``, and squares are ``g^2`` times
    those of ``f / g``, with the background ``b / g``.

    Attributes
    ----------
    geometry : ParallelBeam
        Geometry of one slice.
    data : numpy.ndarray, shape (channel, tilt, y, detector)
        The scaled projections ``f``, float32; not negative for the Kullback-Leibler divergence.
    weights : numpy.ndarray, shape (channel,)
        The weights ``m_c``, float64, positive.
    alpha0, alpha1 : float
        Weights of the second-order and the first-order term, positive.
    dims : {2, 3}
        3 with the derivatives across slices, 2 for every slice by itself.
    data_term : {"kl", "l2"} or tuple of them
        ``D``: Kullback-Leibler divergence or half the sum of squares, for all channels or for each of them.
    coupling : {"none", "frobenius", "nuclear"}
        How the channels share their edges: see `TotalGeneralizedVariation`.
    second_order : bool
        True for total generalised variation, False for total variation.
    operator_norm : float
        ``n``, positive: see `Projector.norm`.
    tilt_weights : numpy.ndarray, shape (channel, tilt), optional
        ``k``, float64, not negative; ones by default.
    background : numpy.ndarray, shape (channel, tilt, y, detector), optional
        ``b`` in the units of `data`, float32; not negative for the Kullback-Leibler divergence.
    valid : numpy.ndarray of bool, shape (channel, tilt, y, detector), optional
        Which pixels of the data were measured; ``None`` where all were. The sums leave the others out,
        and `data` and `background` become 0 there.
    factors : tuple of int, optional
        Edge of a detector pixel of every channel in voxels, 1 by default: ``T`` bins, and the data are at the
        first pixels of the cells, see `BinnedProjector`. `valid` leaves the other pixels out.
    pixel_weights : numpy.ndarray, shape (channel, tilt, y, detector), optional
        A factor on ``D`` at every pixel, positive, float32: the inverse of its variance, relative to that
        of a typical pixel. 1 by default.

    Raises
    ------
    DataError
        When data, weights and geometry do not fit together or hold values that they may not.
    ParameterError
        When a number or a choice is out of bounds.
    """

    geometry: ParallelBeam
    data: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float64]
    alpha0: float
    alpha1: float
    dims: Literal[2, 3]
    data_term: DataTermName | tuple[DataTermName, ...]
    coupling: Coupling
    second_order: bool
    operator_norm: float
    tilt_weights: npt.NDArray[np.float64] | None = None
    background: npt.NDArray[np.float32] | None = None
    valid: npt.NDArray[np.bool_] | None = None
    factors: tuple[int, ...] | None = None
    pixel_weights: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        data = np.asarray(self.data)
        weights = np.array(self.weights, dtype=np.float64)
        weights.setflags(write=False)
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "weights", weights)
        expected = self.geometry.sinogram_shape
        if data.ndim != 4 or 0 in data.shape or (data.shape[1], data.shape[3]) != expected:
            raise DataError(
                f"problem: the data has shape {data.shape}; expected (channel, tilt, y, detector) with "
                f"{expected[0]} tilts and {expected[1]} detector pixels, as in the geometry"
            )
        if data.dtype != np.float32:
            raise DataError(f"problem: the data has type {data.dtype}; expected float32")
        if self.background is not None and self.background.dtype != np.float32:
            raise DataError(f"problem: the background has type {self.background.dtype}; expected float32")
        if self.tilt_weights is not None:
            tilt_weights = np.array(self.tilt_weights, dtype=np.float64)
            tilt_weights.setflags(write=False)
            object.__setattr__(self, "tilt_weights", tilt_weights)
        if self.dims not in (2, 3):
            raise ParameterError(f"problem: found {self.dims} dimensions; expected 2 or 3")
        if isinstance(self.data_term, tuple) and len(set(self.data_term)) == 1:
            object.__setattr__(self, "data_term", self.data_term[0])
        for term in self.terms:
            if term not in typing.get_args(DataTermName):
                raise ParameterError(f"problem: the data term is {term!r}; expected 'kl' or 'l2'")
        if self.coupling not in typing.get_args(Coupling):
            raise ParameterError(
                f"problem: the coupling is {self.coupling!r}; expected 'none', 'frobenius' or 'nuclear'"
            )
        for name in ("alpha0", "alpha1", "operator_norm"):
            number = getattr(self, name)
            if not (math.isfinite(number) and number > 0):
                raise ParameterError(f"problem: {name} is {number}; expected a positive number")
        if self.factors is not None and set(self.factors) == {1}:
            object.__setattr__(self, "factors", None)
        if self.factors is not None:
            self._leave_out_all_but_cells(self.factors)
        if self.valid is not None and self.valid.all():
            object.__setattr__(self, "valid", None)
        discrepancy = self.discrepancy  # checks the values of data and weights
        object.__setattr__(self, "data", discrepancy.data)
        object.__setattr__(self, "background", discrepancy.background)
        object.__setattr__(self, "pixel_weights", discrepancy.pixel_weight)

    def _leave_out_all_but_cells(self, factors: tuple[int, ...]) -> None:
        """Make the pixels invalid that no projection of a binned channel has."""
        first = np.zeros(self.data.shape, np.bool_)
        for target, k in zip(first, self.projector.factors, strict=True):
            target[:, ::k, ::k] = True
        object.__setattr__(self, "valid", first if self.valid is None else first & self.valid)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.data)

    @property
    def slices(self) -> int:
        """Number of slices ``y``."""
        return int(self.data.shape[2])

    @property
    def volume_shape(self) -> tuple[int, int, int, int]:
        """Shape of ``u``: (channel, z, y, x)."""
        nz, nx = self.geometry.volume_shape
        return self.channels, nz, self.slices, nx

    @property
    def vector_shape(self) -> tuple[int, ...]:
        """Shape of ``w`` and ``p``: (component, channel, z, y, x)."""
        return self.total_generalized_variation.gradient.range_shape

    @property
    def tensor_shape(self) -> tuple[int, ...]:
        """Shape of ``q``: (pair, channel, z, y, x)."""
        return self.total_generalized_variation.symmetrized_gradient.range_shape

    @functools.cached_property
    def projector(self) -> BinnedProjector:
        """The projector ``T`` in NumPy, not normalised."""
        factors = (1,) * self.channels if self.factors is None else self.factors
        return BinnedProjector(self.geometry, self.channels, self.slices, factors)

    @functools.cached_property
    def discrepancy(self) -> DataTerm | SeparateDataTerms:
        """The data term with its weights, of the projections ``A u``."""
        arrays = (
            self.data,
            self.weights,
            self.tilt_weights,
            self.background,
            self.valid,
            self.pixel_weights,
        )
        if isinstance(self.data_term, tuple):
            return SeparateDataTerms(self.data_term, *arrays)
        return (KullbackLeibler if self.data_term == "kl" else SquaredL2)(*arrays)

    @property
    def terms(self) -> tuple[DataTermName, ...]:
        """The data term of every channel."""
        return self.data_term if isinstance(self.data_term, tuple) else (self.data_term,) * self.channels

    @property
    def recorded(self) -> npt.NDArray[np.bool_]:
        """Which projections of the geometry every channel has, shape (channel, tilt)."""
        has: npt.NDArray[np.bool_] = self.discrepancy.tilt_weight > 0
        return has

    def part(self, channels: slice = slice(None), slices: slice = slice(None)) -> Problem:
        """Return the problem of some of the channels and slices ``y``.

        Raises
        ------
        DataError
            When the slices do not fill the cells of `factors`.
        """
        for factor in self.factors or ():
            if (slices.start or 0) % factor:
                raise DataError(
                    f"problem: found slices from {slices.start} on; expected a multiple of {factor}"
                )
        return dataclasses.replace(
            self,
            data=self.data[channels, :, slices],
            weights=self.weights[channels],
            tilt_weights=None if self.tilt_weights is None else self.tilt_weights[channels],
            background=None if self.background is None else self.background[channels, :, slices],
            valid=None if self.valid is None else self.valid[channels, :, slices],
            factors=None if self.factors is None else self.factors[channels],
            pixel_weights=None if self.pixel_weights is None else self.pixel_weights[channels, :, slices],
            data_term=self.terms[channels],
        )

    @functools.cached_property
    def total_variation(self) -> TotalVariation:
        """The regulariser without the second order."""
        return TotalVariation(self.volume_shape, self.dims, self.alpha1, self.coupling)

    @functools.cached_property
    def total_generalized_variation(self) -> TotalGeneralizedVariation:
        """The regulariser with the second order."""
        return TotalGeneralizedVariation(
            self.volume_shape, self.dims, self.alpha0, self.alpha1, self.coupling
        )

    def data_terms(self, u: FloatArray) -> npt.NDArray[np.float64]:
        """``sum_t k_ct D(A u_ct + b_ct, f_ct)`` of every channel at ``max(u, 0)``, shape (channel,)."""
        projections = self.projector.forward(self.feasible(u)) / self.operator_norm
        return self.discrepancy.value(projections)

    def regulariser_terms(self, u: FloatArray, w: FloatArray | None = None) -> tuple[float, float]:
        """First-order and second-order term at ``max(u, 0)``, with their weights.

        ``w`` is needed, and used, with the second order only; else the second term is 0.
        """
        u = self.feasible(u)
        if not self.second_order:
            return self.total_variation.value(u), 0.0
        w64 = float64_of_shape("problem, w", w, self.vector_shape)
        return self.total_generalized_variation.terms(u, w64)

    def objective(self, u: FloatArray, w: FloatArray | None = None) -> float:
        """Evaluate the function to be minimised at ``max(u, 0)`` and ``w``, in float64."""
        data = float(self.weights @ self.data_terms(u))
        return data + sum(self.regulariser_terms(u, w))

    def feasible(self, u: FloatArray) -> npt.NDArray[np.float64]:
        """``max(u, 0)`` in float64, with its shape checked."""
        return np.maximum(float64_of_shape("problem, u", u, self.volume_shape), 0)
