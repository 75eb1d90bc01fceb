"""One signal, recorded at several tilts of the sample."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError

__all__ = ["SignalKind", "TiltSeries"]

SignalKind = Literal["intensity", "counts"]


@dataclasses.dataclass(frozen=True, eq=False)
class TiltSeries:
    """One signal of a sample, recorded at several tilts.

    Attributes
    ----------
    name : str
        Name of the signal (channel), for example ``"HAADF"`` or ``"Al"``.
    data : numpy.ndarray, shape (tilt, y, x)
        The projections. After alignment the tilt axis is parallel to ``y``: a row ``y`` of all
        tilts is the sinogram of one slice, and ``x`` is the detector coordinate.
    tilts_deg : numpy.ndarray, shape (tilt,)
        Tilt of every projection in degrees, float64.
    pixel_size_nm : float
        Edge of a pixel in nanometres.
    kind : {"intensity", "counts"}
        ``"counts"`` for raw non-negative event counts (EDX, EELS), which follow Poisson statistics;
        ``"intensity"`` for everything else.
    axis_position_px : float, optional
        Detector coordinate ``x`` of the tilt axis, in pixels. The centre, ``(n - 1) / 2``, by default.
    source : str, optional
        Where the data came from, usually a file.
    notes : tuple of str
        What had to be assumed because the source did not say it.
    provenance : tuple of dict
        The steps that made this series, oldest first.

    Raises
    ------
    DataError
        When shape, tilts, pixel size or name do not fit together.
    """

    name: str
    data: npt.NDArray[Any]
    tilts_deg: npt.NDArray[np.float64]
    pixel_size_nm: float = 1.0
    kind: SignalKind = "intensity"
    axis_position_px: float | None = None
    source: str | None = None
    notes: tuple[str, ...] = ()
    provenance: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not self.name or not self.name.strip():
            raise DataError("a tilt series needs a name; found an empty one")
        where = f"tilt series {self.name!r}"
        data = np.asarray(self.data)
        if data.ndim != 3:
            raise DataError(f"{where}: the data has shape {data.shape}; expected three axes (tilt, y, x)")
        if 0 in data.shape:
            raise DataError(f"{where}: the data has shape {data.shape}; expected no empty axis")
        if data.dtype.kind not in "uif":
            raise DataError(f"{where}: the data has type {data.dtype}; expected real numbers")
        tilts = np.array(self.tilts_deg, dtype=np.float64)
        if tilts.ndim != 1 or tilts.size != data.shape[0]:
            raise DataError(
                f"{where}: found {tilts.size} tilts for {data.shape[0]} projections; expected one each"
            )
        if not np.isfinite(tilts).all():
            bad = np.flatnonzero(~np.isfinite(tilts)).tolist()
            raise DataError(f"{where}: the tilts at {bad} are not finite; expected degrees")
        if not (np.isfinite(self.pixel_size_nm) and self.pixel_size_nm > 0):
            raise DataError(f"{where}: the pixel size is {self.pixel_size_nm} nm; expected a positive number")
        if self.kind not in ("intensity", "counts"):
            raise DataError(f"{where}: the kind is {self.kind!r}; expected 'intensity' or 'counts'")
        if self.axis_position_px is not None and not np.isfinite(self.axis_position_px):
            raise DataError(
                f"{where}: the tilt axis is at {self.axis_position_px}; expected a finite position"
            )
        tilts.setflags(write=False)
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "tilts_deg", tilts)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of projections, rows and detector pixels: ``(tilt, y, x)``."""
        return self.data.shape

    @property
    def axis_position(self) -> float:
        """Detector coordinate of the tilt axis in pixels."""
        if self.axis_position_px is None:
            centre: float = (self.data.shape[2] - 1) / 2
            return centre
        return self.axis_position_px

    def replace(self, **changes: Any) -> TiltSeries:
        """Return a copy with some attributes changed and everything checked anew."""
        return dataclasses.replace(self, **changes)

    def require_finite(self) -> None:
        """Raise `DataError` when the data holds NaN or infinite values, and say where."""
        if self.data.dtype.kind == "f" and not np.isfinite(self.data).all():
            bad = np.argwhere(~np.isfinite(self.data))
            raise DataError(
                f"tilt series {self.name!r}: {len(bad)} values are not finite, "
                f"the first at (tilt, y, x) = {tuple(bad[0].tolist())}; expected finite values"
            )
