"""Prepare single projections for viewing, without preparing the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, TiltSeries
from chemtomo.preprocess.operation import Operation
from chemtomo.preprocess.scan_drift import ScanDriftStep
from chemtomo.preprocess.stacks import each_projection, lazy_series

__all__ = ["PreparedProjection", "PreparedView", "ViewStopped"]


class ViewStopped(Exception):  # noqa: N818 - no error: other projections were asked for
    """The projections are no longer needed."""


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedProjection:
    """A projection after the operations.

    Attributes
    ----------
    image : numpy.ndarray, shape (y, x)
        Signal of the sample: without background and divided by the gain. Float32.
    tilt_deg : float
        Its tilt.
    pixel_size_nm : float
        Edge of a pixel.
    origin_nm : (float, float)
        Position ``(y, x)`` of the centre of its first pixel, relative to that of the series before.
    """

    image: npt.NDArray[np.float32]
    tilt_deg: float
    pixel_size_nm: float
    origin_nm: tuple[float, float]


class PreparedView:
    """Prepared projections of one signal, computed on demand.

    What an operation needs from the whole stack, such as the mean brightness, is computed once and kept
    as long as the operation and those before it stay the same.

    Parameters
    ----------
    dataset : Dataset
        The signals. They are not modified.
    name : str
        Name of the signal to view.
    """

    def __init__(self, dataset: Dataset, name: str) -> None:
        self.name = name
        self._all = dataset
        self._should_stop: Callable[[], bool] = lambda: False
        self._stages: list[Dataset] = []
        self._steps: tuple[Operation, ...] = ()
        self._whole: bool | None = None

    def fork(self) -> PreparedView:
        """Return a copy with all that was computed so far, for other operations in another thread.

        `prepare` of this view must not be called meanwhile.
        """
        other = PreparedView(self._all, self.name)
        other._stages, other._steps, other._whole = list(self._stages), self._steps, self._whole
        return other

    def prepare(self, steps: Sequence[Operation], should_stop: Callable[[], bool] = lambda: False) -> None:
        """Set the operations, and compute what they need from the whole stack.

        Raises
        ------
        ViewStopped
            When `should_stop` returned ``True``; what was computed so far is kept.
        ChemTomoError
            When an operation cannot be done.
        """
        steps = tuple(steps)
        self._should_stop = should_stop
        # Only the correction of scan drift needs more than one signal.
        whole = any(isinstance(one, ScanDriftStep) for one in steps)
        if whole != self._whole:
            chosen = self._all if whole else self._all.select([self.name])
            self._whole, self._steps = whole, ()
            # Not earlier: this is to happen in the thread that computes.
            self._stages = [chosen.map(lazy_series)]
        same = 0
        while same < min(len(steps), len(self._steps)) and steps[same] == self._steps[same]:
            same += 1
        del self._stages[same + 1 :]
        self._steps = steps[:same]
        for step in steps[same:]:
            self._stages.append(self._apply(step))
            self._steps = (*self._steps, step)
        # From here on projections can be read.
        self._should_stop = lambda: False

    def projection(self, number: int) -> PreparedProjection | None:
        """Return a projection of the series after the operations, or None when it was left out."""
        before, after = self._stages[0][self.name], self._stages[-1][self.name]
        wanted = before.number_recorded(number)
        kept = [after.number_recorded(tilt) for tilt in range(after.shape[0])]
        if wanted not in kept:
            return None
        place = kept.index(wanted)
        image = _computed(after.data[place])
        if after.background is not None:
            image -= _computed(after.background[place])
        if after.gains is not None:
            image /= np.float32(after.gains[place])
        y, x = (now - then for now, then in zip(after.first_pixel_nm, before.first_pixel_nm, strict=True))
        return PreparedProjection(image, float(after.tilts_deg[place]), after.pixel_size_nm, (y, x))

    def _apply(self, step: Operation) -> Dataset:
        watched = self._stages[-1].map(self._watched)
        if isinstance(step, ScanDriftStep) or step.channels is None or self._whole:
            return step.apply(watched)
        # An operation for other signals only has no effect on this one.
        if self.name not in step.chosen(self._all):
            return self._stages[-1]
        return step.model_copy(update={"channels": None}).apply(watched)

    def _watched(self, series: TiltSeries) -> TiltSeries:
        """Return the series; reading its projections raises `ViewStopped` once they are not needed."""

        def read(projection: npt.NDArray[Any], tilt: int) -> npt.NDArray[Any]:
            if self._should_stop():
                raise ViewStopped
            return projection

        return series.replace(data=each_projection(series.data, read))


def _computed(projection: Any) -> npt.NDArray[np.float32]:
    """Return a projection as float32, computed in this thread: other threads would slow down the viewer."""
    found = projection.compute(scheduler="synchronous") if hasattr(projection, "dask") else projection
    return np.array(found, dtype=np.float32)
