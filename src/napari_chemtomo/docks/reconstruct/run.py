"""One reconstruction in a viewer, from the layers it starts with to the layers it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, Signal

from chemtomo.pipeline import ReconstructParameters
from chemtomo.pipeline.jobs.reconstruct import Result
from chemtomo.preprocess.values.intensity import PublishedScaling
from napari_chemtomo.docks.reconstruct.live import ResultLayers, SliceView, hide
from napari_chemtomo.layers.tilt_series import to_dataset
from napari_chemtomo.shared import worker

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

__all__ = ["ReconstructionRun", "active_run"]

# A run outlives the dock that started it, and a dock that is opened again finds it here.
_active: dict[Viewer, ReconstructionRun] = {}


def active_run(viewer: Viewer) -> ReconstructionRun | None:
    """Return the run that is going on in a viewer."""
    return _active.get(viewer)


class ReconstructionRun(QObject):
    """A reconstruction that is going on in a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the results appear.
    inputs : sequence of napari layers
        The tilt series.
    parameters : ReconstructParameters
        What to do.
    scaling : PublishedScaling, optional
        What to do before.
    watch : bool
        Whether to turn the viewer to the slice and show it while it is being made.

    Raises
    ------
    chemtomo.errors.DataError
        When a layer is no tilt series.
    """

    progressed = Signal(object)
    """Emitted with a `napari_chemtomo.shared.worker.Update` after every iteration."""

    ended = Signal(str)
    """Emitted at the end, with a sentence on how it went."""

    def __init__(
        self,
        viewer: Viewer,
        inputs: Sequence[Image],
        parameters: ReconstructParameters,
        scaling: PublishedScaling | None,
        *,
        watch: bool,
    ) -> None:
        super().__init__()
        dataset = to_dataset(inputs)
        self._viewer = viewer
        self._inputs = list(inputs)
        self._sentence = "stopped without a result"
        self._succeeded = False
        self._layers = ResultLayers(viewer, inputs)
        self._control = worker.Control()
        self._view: SliceView | None = None
        if watch:
            self._follow_slider()
            viewer.dims.events.point.connect(self._follow_slider)
        _active[viewer] = self
        self._job = worker.start(
            dataset,
            parameters,
            scaling,
            self._control,
            on_update=self._update,
            on_result=self._finish,
            on_error=self._fail,
            on_finished=self._end,
        )

    def cancel(self) -> None:
        """Stop after the present iteration and keep its iterate."""
        self._job.cancel()

    def _follow_slider(self, event: Any = None) -> None:
        self._control.y_nm = float(self._viewer.dims.point[-2])

    def _update(self, update: worker.Update) -> None:
        if update.image is not None:
            # Not before there is something to see.
            self._view = self._view or SliceView(self._viewer, self._inputs)
            self._layers.show_slice(update)
        self.progressed.emit(update)

    def _finish(self, result: Result | None) -> None:
        if result is None:
            self._sentence = "cancelled before it began"
            return
        hide(self._inputs)
        self._layers.finish(result)
        self._succeeded = True
        report = result.report
        for note in report.get("memory", {}).get("notes", ()):
            show_warning(note)
        self._sentence = (
            f"{report['iterations']} iterations in {report['seconds']:.1f} s: {report['stopped']}"
        )

    def _fail(self, error: Exception) -> None:
        self._sentence = str(error)

    def _end(self) -> None:
        self._viewer.dims.events.point.disconnect(self._follow_slider)
        if not self._succeeded:
            self._layers.discard()
            if self._view is not None:
                self._view.restore()
        _active.pop(self._viewer, None)
        self.ended.emit(self._sentence)
