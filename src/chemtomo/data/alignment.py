"""Alignment of a tilt series: the maps from aligned to recorded projections."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data.notebook.html import card, curves_picture, range_text
from chemtomo.errors import DataError, ReadError

__all__ = ["Alignment"]

_VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Alignment:
    """One affine transform per projection; numbers only, never pixels.

    In the aligned frame the tilt axis is parallel to ``y`` and in the middle of the detector,
    ``x = (width - 1) / 2``, with the shape and the pixel size of the reference.

    Attributes
    ----------
    reference : str
        Name of the signal on which it was found.
    tilts_deg : numpy.ndarray, shape (tilt,)
        Tilts of the projections in degrees, as the reconstruction uses them.
    matrices : numpy.ndarray, shape (tilt, 2, 3)
        Pull-back matrices: ``matrix @ (y, x, 1)`` is the place ``(y, x)`` in the recorded projection
        of the aligned pixel ``(y, x)``, in pixels of the reference. They contain shifts,
        angle and offset of the tilt axis.
    axis_angle_deg : float
        Angle of the tilt axis with ``y`` in the recorded projections, towards ``x``: the axis has the
        direction ``(y, x) = (cos a, sin a)`` there. For information: it is in the matrices already.
    axis_offset_px : float
        Where the tilt axis crosses the middle row ``y = (height - 1) / 2`` of the recorded projections
        after their shifts: ``x = (width - 1) / 2 + offset``. For information, as the angle. With the map
        ``A`` of `chemtomo.geometry.affine.tilt_axis` the matrices are ``(shift of the tilt) A``: first the
        turn about the centre, then the offset, then the shift.
    residual_px : numpy.ndarray, shape (tilt,), optional
        Remaining misalignment of every projection, as the method estimates it.
    pixel_size_nm : float, optional
        Edge of a pixel of the reference.
    shape : (int, int), optional
        Rows and columns of a projection of the reference.
    method : str
        Name of the method that found it.
    provenance : tuple of dict
        The steps that made it, oldest first.

    Raises
    ------
    DataError
        When the numbers do not fit together.
    """

    reference: str
    tilts_deg: npt.NDArray[np.float64]
    matrices: npt.NDArray[np.float64]
    axis_angle_deg: float = 0.0
    axis_offset_px: float = 0.0
    residual_px: npt.NDArray[np.float64] | None = None
    pixel_size_nm: float | None = None
    shape: tuple[int, int] | None = None
    method: str = ""
    provenance: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        where = f"alignment of {self.reference!r}"
        tilts = np.array(self.tilts_deg, dtype=np.float64)
        matrices = np.array(self.matrices, dtype=np.float64)
        if tilts.ndim != 1 or not tilts.size:
            raise DataError(f"{where}: the tilts have shape {tilts.shape}; expected a list of at least one")
        if matrices.shape != (tilts.size, 2, 3):
            raise DataError(
                f"{where}: the matrices have shape {matrices.shape}; expected {(tilts.size, 2, 3)}, "
                "one of 2 x 3 for each tilt"
            )
        arrays = {"tilts_deg": tilts, "matrices": matrices}
        if self.residual_px is not None:
            residual = np.array(self.residual_px, dtype=np.float64)
            if residual.shape != tilts.shape:
                raise DataError(
                    f"{where}: found {residual.size} residuals for {tilts.size} tilts; expected one each"
                )
            arrays["residual_px"] = residual
        if not (np.isfinite(tilts).all() and np.isfinite(matrices).all()):
            raise DataError(f"{where}: some tilts or matrices are not finite; expected numbers")
        if not np.isfinite([self.axis_angle_deg, self.axis_offset_px]).all():
            raise DataError(f"{where}: the tilt axis is not finite; expected numbers")
        determinants = np.linalg.det(matrices[:, :, :2])
        if (np.abs(determinants) < 1e-6).any():
            at = int(np.abs(determinants).argmin())
            raise DataError(
                f"{where}: the matrix of tilt {at} is singular; expected one that can be inverted"
            )
        if self.pixel_size_nm is not None and not self.pixel_size_nm > 0:
            raise DataError(f"{where}: the pixel size is {self.pixel_size_nm} nm; expected a positive number")
        for name, array in arrays.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def replace(self, **changes: Any) -> Alignment:
        """Return a copy with some attributes changed and everything checked anew."""
        return dataclasses.replace(self, **changes)

    def shifts_px(self, shape: tuple[int, int] | None = None) -> npt.NDArray[np.float64]:
        """Return how far the middle of the aligned image is from that of every recorded projection.

        Parameters
        ----------
        shape : (int, int), optional
            Rows and columns of a projection; that of the reference by default.

        Returns
        -------
        numpy.ndarray, shape (tilt, 2)
            Along ``(y, x)`` in pixels.

        Raises
        ------
        DataError
            When no shape is known.
        """
        size = self.shape if shape is None else shape
        if size is None:
            raise DataError(f"alignment of {self.reference!r}: the shape of a projection is not known")
        middle = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])
        moved: npt.NDArray[np.float64] = self.matrices[:, :, :2] @ middle + self.matrices[:, :, 2] - middle
        return moved

    def _repr_html_(self) -> str:
        rows = [
            ("method", self.method or "not known"),
            ("tilts", range_text(self.tilts_deg, "°")),
            ("tilt axis", f"{self.axis_angle_deg:g}° from y, {self.axis_offset_px:g} px from the centre"),
        ]
        order = np.argsort(self.tilts_deg, kind="stable")

        def shifts() -> bytes:
            y, x = self.shifts_px(self.shape or (1, 1))[order].T
            curves = [("y", y), ("x", x)]
            if self.residual_px is not None:
                curves.append(("residual", self.residual_px[order]))
            return curves_picture(self.tilts_deg[order], curves, "tilt (°)", "px")

        return card(f"Alignment of {self.reference}", rows, [("shifts", shifts)])

    def to_json(self) -> dict[str, Any]:
        """Return the alignment as JSON values. A residual that is not known, NaN, becomes ``null``."""
        residual = self.residual_px
        return {
            "version": _VERSION,
            "reference": self.reference,
            "method": self.method,
            "axis_angle_deg": float(self.axis_angle_deg),
            "axis_offset_px": float(self.axis_offset_px),
            "pixel_size_nm": self.pixel_size_nm,
            "shape": None if self.shape is None else list(self.shape),
            "tilts_deg": self.tilts_deg.tolist(),
            "matrices": self.matrices.tolist(),
            "residual_px": None
            if residual is None
            else [float(value) if np.isfinite(value) else None for value in residual],
            "provenance": list(self.provenance),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any], where: str = "alignment") -> Alignment:
        """Return the alignment that `to_json` described.

        Raises
        ------
        ReadError
            When something is missing or does not fit together; the message starts with `where`.
        """
        if not isinstance(found, Mapping):
            raise ReadError(f"{where}: found {type(found).__name__}; expected an object with an alignment")
        if found.get("version") != _VERSION:
            raise ReadError(f"{where}: found version {found.get('version')!r}; expected {_VERSION}")
        missing = [name for name in ("reference", "tilts_deg", "matrices") if name not in found]
        if missing:
            raise ReadError(f"{where}: found no {', '.join(missing)}; expected an alignment")
        residual = found.get("residual_px")
        shape = found.get("shape")
        try:
            return cls(
                reference=str(found["reference"]),
                tilts_deg=np.asarray(found["tilts_deg"], dtype=np.float64),
                matrices=np.asarray(found["matrices"], dtype=np.float64),
                axis_angle_deg=float(found.get("axis_angle_deg", 0.0)),
                axis_offset_px=float(found.get("axis_offset_px", 0.0)),
                residual_px=None if residual is None else np.asarray(residual, dtype=np.float64),
                pixel_size_nm=None if found.get("pixel_size_nm") is None else float(found["pixel_size_nm"]),
                shape=None if shape is None else (int(shape[0]), int(shape[1])),
                method=str(found.get("method", "")),
                provenance=tuple(found.get("provenance", ())),
            )
        except (TypeError, ValueError, LookupError) as error:
            raise ReadError(f"{where}: {error}") from error

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Alignment:
        """Read a JSON file.

        Raises
        ------
        ReadError
            When the file cannot be read, or holds no alignment.
        """
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ReadError(f"{path}: cannot be read ({error.strerror or error})") from error
        except ValueError as error:
            raise ReadError(f"{path}: found no JSON ({error}); expected an alignment") from error
        return cls.from_json(found, str(path))
