"""The part of the data that is reconstructed, and its position in the whole volume."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import ParallelBeam
from chemtomo.preprocess import crop_detector, detector_support, select_slices
from chemtomo.recon.field_of_view import FieldOfView
from chemtomo.recon.resolution import Resolutions
from chemtomo.recon.tilts import JointTilts

__all__ = ["Frame"]


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """A dataset cropped to slices and detector columns, and the way back to the whole volume.

    The volume of the whole detector of ``n`` pixels is ``n x n`` voxels per slice, its ``z`` centred.

    Attributes
    ----------
    dataset : Dataset
        The cropped data, the same rows and columns.
    joint : JointTilts
        Their tilts together; the geometry has these tilts with the opposite sign.
    all_slices : Dataset
        The data of the same columns, of all slices, in their own pixels: what weights are computed from, so
        that they do not depend on the slices chosen.
    resolutions : Resolutions
        Which of the signals have larger pixels than those of `dataset`.
    geometry : ParallelBeam
        Geometry of a cropped slice, with ``z`` reversed: see `sinograms` and `to_volume`.
    slices, columns : (int, int)
        Rows and detector columns that were kept, start and stop.
    rows : (int, int)
        Indices ``z`` of the cropped volume in the whole one.
    edge : int
        Detector pixels of the whole series.
    keep_crop : bool
        Whether results stay cropped.
    margin : int
        Columns of the geometry beyond the detector at each side, which are cut off from results.
    sample_geometry : ParallelBeam
        Geometry of a slice as wide as the detector and of any depth: the reference for the
        strength of the regularisation.
    note : str, optional
        A description of what was chosen from the data.
    """

    dataset: Dataset
    joint: JointTilts
    all_slices: Dataset
    resolutions: Resolutions
    geometry: ParallelBeam
    slices: tuple[int, int]
    columns: tuple[int, int]
    rows: tuple[int, int]
    edge: int
    keep_crop: bool
    margin: int
    sample_geometry: ParallelBeam
    note: str | None = None

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        slices: tuple[int, int] | None,
        crop: Literal["auto", "none"] | tuple[int, int],
        keep_crop: bool,
        field: Literal["sample", "wide", "auto"] = "sample",
        thickness_nm: float | Literal["auto"] | None = None,
    ) -> Frame:
        """Crop a dataset.

        Parameters
        ----------
        dataset : Dataset
            Signals with the same field of view and tilt axis, aligned. Their tilts may differ, and the pixels
            of some may be ``2 x 2``, ``3 x 3`` ... of those of the others.
        slices : (int, int), optional
            Rows ``y`` to keep; all by default.
        crop : {"auto", "none"} or (int, int)
            Detector columns to keep, ``auto`` for the support of the data.
        keep_crop : bool
            Whether results stay cropped.
        field : {"sample", "wide", "auto"}
            How far the volume reaches: see `chemtomo.recon.field_of_view`.
        thickness_nm : float or "auto", optional
            Depth of the sample, or ``auto`` to find it in the data.

        Raises
        ------
        DataError
            When the signals differ in more than their tilts, are not finite, or have an alignment that is
            not applied.
        ParameterError
            When a range does not lie in the data.
        """
        for series in dataset:
            if series.alignment is not None:
                raise DataError(
                    f"tilt series {series.name!r} has an alignment that is not applied; expected aligned "
                    "projections. Apply it first (chemtomo.align.apply)"
                )
        for series in dataset:
            series.require_finite()
        recorded = dataset
        resolutions = Resolutions.of(dataset)
        dataset = resolutions.dataset
        dataset.require_common_geometry()
        first = dataset.series[0]
        _, height, edge = first.shape
        start, stop = resolutions.whole_cells(*(slices or (0, height)), height)
        if crop == "auto":
            left, right = detector_support(dataset)
        elif crop == "none":
            left, right = 0, edge
        else:
            left, right = crop
        left, right = resolutions.whole_cells(left, right, edge)
        cropped = dataset.map(lambda one: select_slices(crop_detector(one, left, right), start, stop))
        all_slices = _own_columns(recorded, resolutions, left, right)
        width = right - left
        axis = cropped.series[0].axis_position
        if not 0 <= axis <= width - 1:
            raise ParameterError(
                f"crop: the tilt axis at x = {first.axis_position:g} is not in the columns {left}:{right}; "
                "expected a range that holds it"
            )
        joint = JointTilts.of(dataset)
        axes = first.axis_position + joint.detector_shifts_px
        beside = (axes < left) | (axes > right - 1)
        if beside.any():
            at = int(beside.argmax())
            raise ParameterError(
                f"crop: the tilt axis at x = {axes[at]:g} of the projection at {joint.tilts_deg[at]:g} "
                f"degrees is not in the columns {left}:{right}; expected a range that holds it, at every tilt"
            )
        half = max(axis, width - 1 - axis)
        depth = min(math.ceil(2 * half) + 1, edge)
        depth += (edge - depth) % 2  # the same centre as the whole volume
        top = (edge - depth) // 2
        # The published program numbers z against the beam's positive tilt. Its differences are one-sided,
        # so that only the same direction gives the same minimiser.
        sample = ParallelBeam(
            -joint.tilts_deg,
            width,
            (depth, width),
            detector_axis=axis,
            volume_axis=((depth - 1) / 2, axis),
            detector_shifts=joint.detector_shifts_px,
        )
        thickness = thickness_nm / first.pixel_size_nm if isinstance(thickness_nm, float) else thickness_nm
        finest = resolutions.finest.map(lambda one: crop_detector(one, left, right))
        view = FieldOfView.of(finest, sample, (top, top + depth), field, thickness)
        height = view.rows[1] - view.rows[0]
        geometry = ParallelBeam(
            sample.tilts_deg,
            width,
            (height, width + 2 * view.margin),
            detector_axis=axis,
            volume_axis=(view.rows[1] - 1 - (edge - 1) / 2, axis + view.margin),
            detector_shifts=sample.detector_shifts,
        )
        return cls(
            cropped,
            joint,
            all_slices,
            resolutions,
            geometry,
            (start, stop),
            (left, right),
            view.rows,
            edge,
            keep_crop,
            view.margin,
            sample,
            "; ".join(note for note in (resolutions.note, view.note) if note) or None,
        )

    def with_data(self, dataset: Dataset) -> Frame:
        """Return the same frame of other data with the same tilts, rows and columns."""
        resolutions = Resolutions.of(dataset)
        return dataclasses.replace(
            self,
            dataset=resolutions.dataset.map(
                lambda one: select_slices(crop_detector(one, *self.columns), *self.slices)
            ),
            all_slices=_own_columns(dataset, resolutions, *self.columns),
            resolutions=resolutions,
        )

    @property
    def cropped_shape(self) -> tuple[int, int, int]:
        """Voxels of the cropped volume within the field, (z, y, x)."""
        rows, columns = self.rows, self.columns
        return rows[1] - rows[0], self.slices[1] - self.slices[0], columns[1] - columns[0]

    def within(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the part (..., x) of an iterate that lies within the field."""
        return image[..., self.margin : image.shape[-1] - self.margin]

    def sinograms(self) -> npt.NDArray[np.float32]:
        """Return the data as (channel, tilt, y, detector), float32; 0 where a signal has no projection."""
        return self._spread([series.projections() for series in self.dataset])

    def backgrounds(self) -> npt.NDArray[np.float32] | None:
        """Return the backgrounds as (channel, tilt, y, detector), float32, or None where there is none."""
        if all(series.background is None for series in self.dataset):
            return None
        return self._spread([series.backgrounds() for series in self.dataset])

    def valid(self) -> npt.NDArray[np.bool_] | None:
        """Return which pixels were measured as (channel, tilt, y, detector), or None where all were."""
        if all(series.valid is None for series in self.dataset):
            return None
        valid = self._spread([series.valid_pixels() for series in self.dataset]) > 0
        recorded = self._spread([np.ones(series.shape, np.bool_) for series in self.dataset]) > 0
        return None if valid[recorded].all() else valid

    @property
    def gains(self) -> npt.NDArray[np.float64]:
        """Gain of every projection, shape (channel, tilt); 0 where a signal has none."""
        rows = []
        for channel, series in enumerate(self.dataset):
            own = np.ones(series.shape[0]) if series.gains is None else series.gains
            rows.append(self.joint.spread(own, channel))
        return np.stack(rows)

    def _spread(self, channels: Sequence[Iterable[npt.NDArray[Any]]]) -> npt.NDArray[np.float32]:
        _, height, width = self.dataset.series[0].shape
        whole = np.zeros((len(channels), self.joint.count, height, width), dtype=np.float32)
        for target, places, projections in zip(whole, self.joint.places, channels, strict=True):
            for place, projection in zip(places, projections, strict=True):
                target[place] = projection
        return whole

    def to_slice(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Bring (channel, z reversed, x) into the frame of the result."""
        return self.to_volume(image[:, :, np.newaxis])[:, :, 0]

    def to_volume(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Bring (channel, z reversed, y, x) into the frame of the result: padded, unless it stays cropped."""
        upright = image[:, ::-1]
        if self.keep_crop:
            return np.ascontiguousarray(upright)
        whole = np.zeros((len(image), self.edge, image.shape[2], self.edge), dtype=np.float32)
        whole[:, self.rows[0] : self.rows[1], :, self.columns[0] : self.columns[1]] = upright
        return whole

    @property
    def origin_px(self) -> tuple[float, float, float]:
        """Index (z, y, x) of the first voxel of the result in the volume of the whole series."""
        if self.keep_crop:
            return float(self.rows[0]), float(self.slices[0]), float(self.columns[0])
        return 0.0, float(self.slices[0]), 0.0


def _own_columns(dataset: Dataset, resolutions: Resolutions, left: int, right: int) -> Dataset:
    """Return the columns of each signal, in its own pixels."""
    pairs = zip(dataset, resolutions.factors, strict=True)
    return Dataset(tuple(crop_detector(one, left // factor, right // factor) for one, factor in pairs))
