"""What a device has to offer to the primal-dual iterations.

The variables live on the device in normalised units, see `chemtomo.functionals.Problem`:

- primal: the image ``u`` and the vector field ``w``, with their extrapolations;
- dual: ``p`` of ``grad u - w``, ``q`` of ``sym w``, ``r`` of the projections ``A u``, and ``s <= 0``
  of the constraint ``u >= 0`` where that is not kept by a projection.

All start from zero. The NumPy backend (`chemtomo.solvers.numpy_backend`) says what each method
means; the OpenCL backend does the same in two passes over memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from chemtomo.functionals import Problem
from chemtomo.solvers.loop import Objective
from chemtomo.solvers.metric import FourierMetric

__all__ = ["Backend", "DualStepSizes", "ImageStorage", "MainMemory", "PrimalStepSizes"]


@dataclasses.dataclass(frozen=True)
class DualStepSizes:
    """Step sizes of the dual variables.

    Attributes
    ----------
    first : float
        Of ``p``, the same for all channels, so that the projection on the coupled ball is exact.
    second : float
        Of ``q``.
    data : tuple of float
        Of ``r``, one per channel.
    positivity : tuple of float, optional
        Of ``s``, one per channel; ``None`` where ``u >= 0`` is kept by a projection.
    """

    first: float
    second: float
    data: tuple[float, ...]
    positivity: tuple[float, ...] | None = None


@dataclasses.dataclass(frozen=True)
class PrimalStepSizes:
    """Step sizes of the primal variables: of ``u`` and of ``w``, one per channel."""

    image: tuple[float, ...]
    field: tuple[float, ...]


class ImageStorage(Protocol):
    """The memory of a method on one device, and the image in it."""

    @property
    def allocated_bytes(self) -> int:
        """Device memory in use; 0 in main memory."""

    def release(self) -> None:
        """Give the device memory back; nothing can be used any more."""

    def release_all_but_image(self) -> None:
        """Give the device memory back, but for the image: only `slice` and `volume` work from now on."""

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice `y` of the image, shape (channel, z, x)."""

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the image, shape (channel, z, y, x)."""


class MainMemory:
    """The part of `ImageStorage` for methods in main memory, which is freed when they are."""

    allocated_bytes = 0

    def release(self) -> None:
        """Do nothing."""

    def release_all_but_image(self) -> None:
        """Do nothing."""


class Backend(ImageStorage, Protocol):
    """The variables of one problem on one device, and the updates of a primal-dual iteration.

    The image is ``max(u, 0)``.
    """

    @property
    def problem(self) -> Problem:
        """What is minimised."""

    def reserve(self, metric: FourierMetric) -> None:
        """Take the memory that `metric_update` will need, so that it does not fail later.

        Raises
        ------
        DeviceMemoryError
            When there is not enough.
        """

    def reset(self) -> None:
        """Set every variable to zero."""

    def variables(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield the variables by their names, so that another backend of the same problem can continue.

        They are named ``u, w, p, q, r, s``, and ``U, W`` the extrapolations. Arrays have the shapes of the
        problem, whatever the order in the memory of a device. Those that the method does not have may be
        left out.
        """

    def restore(self, variables: Mapping[str, npt.NDArray[np.float32]], relaxation: float) -> None:
        """Set the variables to those that `variables` gave after updates with a relaxation."""

    def dual_update(self, step_sizes: DualStepSizes, relaxation: float) -> None:
        """Update the dual variables from the extrapolated primal ones.

        With ``U, W`` the extrapolations, ``m`` the weights and ``z <- z + relaxation (z+ - z)``:

        - ``p+ = proj_alpha1(p + first (grad U - W))``
        - ``q+ = proj_alpha0(q + second sym W)``
        - ``r+ = prox_{data (m D)*}(r + data A U)``
        - ``s+ = min(0, s + positivity U)``, if there are such step sizes.
        """

    def primal_update(self, step_sizes: PrimalStepSizes, relaxation: float) -> None:
        """Update the primal variables by a step along the gradient, and extrapolate.

        - ``u+ = max(0, u - image (grad^T p + A^T r))``, ``U = 2 u+ - u``
        - ``w+ = w - field (sym^T q - p)``, ``W = 2 w+ - w``
        - ``u <- u + relaxation (u+ - u)``, the same for ``w``.
        """

    def metric_update(self, metric: FourierMetric, relaxation: float) -> None:
        """Update the primal variables by a step in a metric, and extrapolate.

        - ``(du, dw) = M^-1 (grad^T p + A^T r + s, sym^T q - p)``
        - ``U = u - 2 du``, ``W = w - 2 dw``
        - ``u <- u - relaxation du``, ``w <- w - relaxation dw``.
        """

    def apply_preconditioned_normal(
        self,
        metric: FourierMetric,
        step_sizes: DualStepSizes,
        u: npt.NDArray[np.float32],
        w: npt.NDArray[np.float32] | None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Apply ``M^-1 K^T Sigma K`` to ``(u, w)``; all variables are lost.

        That is a primal update after a dual one, without the projections and the data. Its largest
        eigenvalue is what `metric` must be multiplied by, to bound ``K^T Sigma K``.
        """

    def objective(self) -> Objective:
        """Evaluate the objective and the duality gap at ``max(u, 0)`` and ``w``, in normalised units."""

    def projections(self) -> npt.NDArray[np.float32]:
        """Return ``A max(u, 0)``, shape (channel, tilt, y, detector)."""

    def change_data(self, problem: Problem) -> None:
        """Take the data, the background and the weights of a problem that is the same otherwise.

        The variables stay as they are.
        """

    def finish(self) -> None:
        """Wait until everything asked for is done."""
