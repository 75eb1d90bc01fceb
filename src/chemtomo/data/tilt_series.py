"""One signal, recorded at several tilts of the sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.data.alignment import Alignment
from chemtomo.data.checks import as_stack, check_pixel_size, check_stack, checked_tilts
from chemtomo.data.notebook.html import card, image_picture, range_text
from chemtomo.data.notebook.hyperspy_signal import ARRAYS, image_signal
from chemtomo.data.origin import Origin
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
    data : numpy.ndarray or dask array, shape (tilt, y, x)
        The projections. After alignment the tilt axis is parallel to ``y``: a row ``y`` of all
        tilts is the sinogram of one slice, and ``x`` is the detector coordinate. A dask array is
        read when its values are needed, see `projections` and `values`.
    tilts_deg : numpy.ndarray, shape (tilt,)
        Tilt of every projection in degrees, float64.
    pixel_size_nm : float
        Edge of a pixel in nanometres.
    kind : {"intensity", "counts"}
        ``"counts"`` for raw non-negative event counts (EDX, EELS), which follow Poisson statistics;
        ``"intensity"`` for everything else.
    axis_position_px : float, optional
        Detector coordinate ``x`` of the tilt axis, in pixels. The centre, ``(n - 1) / 2``, by default.
    axis_angle_deg : float, optional
        Angle of the tilt axis with ``y``, towards ``x``, in these projections, as the file they are from
        says it: where an alignment begins to look for it. It is not applied to anything.
    detector_shifts_px : numpy.ndarray, shape (tilt,), optional
        How far the tilt axis is from `axis_position_px` in every projection, in pixels along ``x``.
        Reconstructions take them into their geometry, so that values are not interpolated.
    gains : numpy.ndarray, shape (tilt,), optional
        Sensitivity of the detector at every tilt: the expected signal is the projection of the sample
        times the gain. 1 by default.
    background : numpy.ndarray or dask array, shape (tilt, y, x), optional
        Signal that does not come from what is to be reconstructed: the expected value of a pixel is
        that of the sample plus this. Counts stay counts while it is kept apart.
    valid : numpy.ndarray or dask array of bool, shape (tilt, y, x), optional
        Which pixels hold a measured value: not those that an alignment took from outside the recorded
        image, nor saturated, shadowed or dead ones. All by default. Reconstructions leave the others out.
    alignment : Alignment, optional
        The maps from aligned projections to these, which are then as recorded. It is applied once,
        before a reconstruction (`chemtomo.align.apply`).
    source : str, optional
        Where the data came from, usually a file.
    notes : tuple of str
        What had to be assumed because the source did not say it.
    provenance : tuple of dict
        The steps that made this series, oldest first. A record, which nothing depends on.
    first_pixel_nm : (float, float)
        Place ``(y, x)`` of the centre of the first pixel in the projections as they were recorded.
    recorded_numbers : tuple of int, optional
        Number of every projection among those that were recorded; the same numbers if not given.
    origin : Origin, optional
        The files it was read from, or what was simulated.

    Raises
    ------
    DataError
        When shape, tilts, pixel size or name do not fit together.
    """

    name: str
    data: Any
    tilts_deg: npt.NDArray[np.float64]
    pixel_size_nm: float = 1.0
    kind: SignalKind = "intensity"
    axis_position_px: float | None = None
    detector_shifts_px: npt.NDArray[np.float64] | None = None
    gains: npt.NDArray[np.float64] | None = None
    background: Any = None
    alignment: Alignment | None = None
    source: str | None = None
    notes: tuple[str, ...] = ()
    provenance: tuple[dict[str, Any], ...] = ()
    origin: Origin | None = None
    first_pixel_nm: tuple[float, float] = (0.0, 0.0)
    recorded_numbers: tuple[int, ...] | None = None
    axis_angle_deg: float | None = None
    valid: Any = None

    def __post_init__(self) -> None:
        if not self.name or not self.name.strip():
            raise DataError("a tilt series needs a name; found an empty one")
        where = f"tilt series {self.name!r}"
        data = as_stack(self.data)
        check_stack(data, ("tilt", "y", "x"), where)
        tilts = checked_tilts(self.tilts_deg, data.shape[0], "projections", where)
        check_pixel_size(self.pixel_size_nm, where)
        if self.kind not in ("intensity", "counts"):
            raise DataError(f"{where}: the kind is {self.kind!r}; expected 'intensity' or 'counts'")
        if self.axis_position_px is not None and not np.isfinite(self.axis_position_px):
            raise DataError(
                f"{where}: the tilt axis is at {self.axis_position_px}; expected a finite position"
            )
        if self.axis_angle_deg is not None and not abs(self.axis_angle_deg) <= 360:
            raise DataError(
                f"{where}: the tilt axis is at {self.axis_angle_deg} degrees from y; expected -360 to 360"
            )
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "tilts_deg", tilts)
        for name in ("detector_shifts_px", "gains"):
            self._check_one_each(name, where)
        if self.gains is not None and not (self.gains > 0).all():
            raise DataError(f"{where}: the smallest gain is {self.gains.min():g}; expected positive gains")
        if self.background is not None:
            background = as_stack(self.background)
            if background.shape != data.shape:
                raise DataError(
                    f"{where}: the background has shape {background.shape}; "
                    f"expected that of the data, {data.shape}"
                )
            object.__setattr__(self, "background", background)
        if self.valid is not None:
            valid = as_stack(self.valid)
            if valid.shape != data.shape or valid.dtype != np.bool_:
                raise DataError(
                    f"{where}: the valid pixels have shape {valid.shape} and type {valid.dtype}; "
                    f"expected {data.shape}, as the data, and bool"
                )
            object.__setattr__(self, "valid", valid)
        if self.alignment is not None and len(self.alignment.matrices) != data.shape[0]:
            raise DataError(
                f"{where}: found {len(self.alignment.matrices)} transforms for {data.shape[0]} projections; "
                "expected one each. Link the alignment to this series first"
            )

    def _check_one_each(self, name: str, where: str) -> None:
        if getattr(self, name) is None:
            return
        numbers = np.array(getattr(self, name), dtype=np.float64)
        what = name.removesuffix("_px").replace("_", " ")
        if numbers.shape != (self.data.shape[0],):
            raise DataError(
                f"{where}: found {what} of shape {numbers.shape}; "
                f"expected one for each of {self.data.shape[0]} projections"
            )
        if not np.isfinite(numbers).all():
            bad = np.flatnonzero(~np.isfinite(numbers)).tolist()
            raise DataError(f"{where}: the {what} at {bad} are not finite; expected numbers")
        numbers.setflags(write=False)
        object.__setattr__(self, name, numbers)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of projections, rows and detector pixels: ``(tilt, y, x)``."""
        tilts, y, x = self.data.shape
        return tilts, y, x

    @property
    def is_lazy(self) -> bool:
        """Whether the values are still to be read or computed."""
        return not isinstance(self.data, np.ndarray) or isinstance(self.data, np.memmap)

    def values(self) -> npt.NDArray[Any]:
        """Return all values, shape (tilt, y, x); those of a lazy series are read now."""
        return np.asarray(self.data)

    def projections(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the projections (y, x) one after the other, which spares memory when they are lazy."""
        for tilt in range(self.data.shape[0]):
            yield np.asarray(self.data[tilt])

    def backgrounds(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the background (y, x) of one projection after the other; zeros where there is none."""
        for tilt in range(self.data.shape[0]):
            if self.background is None:
                yield np.zeros(self.data.shape[1:], dtype=np.float32)
            else:
                yield np.asarray(self.background[tilt])

    def valid_pixels(self) -> Iterator[npt.NDArray[np.bool_]]:
        """Yield which pixels (y, x) of one projection after the other are valid."""
        for tilt in range(self.data.shape[0]):
            if self.valid is None:
                yield np.ones(self.data.shape[1:], dtype=np.bool_)
            else:
                yield np.asarray(self.valid[tilt])

    @property
    def axis_position(self) -> float:
        """Detector coordinate of the tilt axis in pixels."""
        if self.axis_position_px is None:
            centre: float = (self.data.shape[2] - 1) / 2
            return centre
        return self.axis_position_px

    def pixel_moved(self, y: float, x: float) -> tuple[float, float]:
        """Return the new `first_pixel_nm` where the first pixel is now at ``(y, x)`` of the present ones."""
        down, across = self.first_pixel_nm
        return down + y * self.pixel_size_nm, across + x * self.pixel_size_nm

    def number_recorded(self, tilt: int) -> int:
        """Return the number that a projection had among those that were recorded."""
        return tilt if self.recorded_numbers is None else self.recorded_numbers[tilt]

    def replace(self, **changes: Any) -> TiltSeries:
        """Return a copy with some attributes changed and everything checked anew.

        Where `data` changes and the provenance does not, the origin is removed.
        """
        if "data" in changes and not {"provenance", "origin"} & set(changes):
            changes["origin"] = None
        return dataclasses.replace(self, **changes)

    def middle_projection(self) -> npt.NDArray[Any]:
        """Return the projection (y, x) nearest to 0 degrees; of a lazy series it alone is read."""
        return np.asarray(self.data[int(np.abs(self.tilts_deg).argmin())])

    def _repr_html_(self) -> str:
        nearest = float(self.tilts_deg[np.abs(self.tilts_deg).argmin()])
        rows = [
            ("shape (tilt, y, x)", " × ".join(map(str, self.shape))),
            ("tilts", range_text(self.tilts_deg, "°")),
            ("pixel", f"{self.pixel_size_nm:g} nm"),
            ("values", f"{self.kind}, {self.data.dtype}{', not read yet' if self.is_lazy else ''}"),
            ("alignment", "none" if self.alignment is None else self.alignment.method or "yes"),
            *(("note", note) for note in self.notes),
        ]
        picture = (f"{self.name} at {nearest:g}°", lambda: image_picture(self.middle_projection()))
        return card(f"Tilt series {self.name}", rows, [picture])

    def to_hyperspy(self) -> Any:
        """Return a HyperSpy ``Signal2D``, navigated along the tilts; lazy where the series is.

        The values are not copied. `chemtomo.from_hyperspy` restores everything but the origin.

        Raises
        ------
        DataError
            When HyperSpy is not installed.
        """
        return image_signal(
            self.name,
            self.data,
            self.tilts_deg,
            self.pixel_size_nm,
            quantity="Counts" if self.kind == "counts" else "Intensity",
            details={
                "kind": self.kind,
                "axis_position_px": self.axis_position_px,
                "axis_angle_deg": self.axis_angle_deg,
                "first_pixel_nm": self.first_pixel_nm,
                "recorded_numbers": self.recorded_numbers,
                "alignment": None if self.alignment is None else self.alignment.to_json(),
                "source": self.source,
                "notes": self.notes,
                "provenance": self.provenance,
            },
            arrays={name: getattr(self, name) for name in ARRAYS},
        )

    def require_finite(self) -> None:
        """Raise `DataError` when the data holds NaN or infinite values, and say where."""
        if self.data.dtype.kind != "f":
            return
        count, first = 0, None
        for tilt, projection in enumerate(self.projections()):
            bad = np.argwhere(~np.isfinite(projection))
            if len(bad) and first is None:
                first = (tilt, *bad[0].tolist())
            count += len(bad)
        if first is not None:
            raise DataError(
                f"tilt series {self.name!r}: {count} values are not finite, "
                f"the first at (tilt, y, x) = {first}; expected finite values"
            )
