"""One reconstruction in a viewer, from the layers it starts with to the layers it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, QTimer

from chemtomo.pipeline import ReconstructParameters
from chemtomo.pipeline.jobs.reconstruct import Result
from chemtomo.preprocess.values.intensity import PublishedScaling
from chemtomo.progress import TaskProgress
from napari_chemtomo.docks.reconstruct.live import ResultLayers, SliceView, hide
from napari_chemtomo.docks.reconstruct.task import SliceRequest, Update, reconstruct
from napari_chemtomo.layers.tilt_series import to_dataset
from napari_chemtomo.shared.jobs import Job
from napari_chemtomo.shared.session import session_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

__all__ = ["DOCK", "start_reconstruction"]

DOCK = "Reconstruct"
_SLICE_MILLISECONDS = 300
_FEWEST_TILTS = 5


def start_reconstruction(
    viewer: Viewer,
    inputs: Sequence[Image],
    parameters: ReconstructParameters,
    scaling: PublishedScaling | None,
    *,
    watch: bool,
) -> None:
    """Reconstruct layers in a thread, and show the result.

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
    dataset = to_dataset(inputs)
    for series in dataset:
        if series.shape[0] < _FEWEST_TILTS:
            show_warning(
                f"{series.name}: found {series.shape[0]} tilt{'s' if series.shape[0] > 1 else ''}; a volume "
                f"that means something needs many more, at least {_FEWEST_TILTS}"
            )
    layers = ResultLayers(viewer, inputs)
    request = SliceRequest()

    def finish(result: Result) -> str:
        hide(inputs)
        layers.finish(result)
        report = result.report
        for note in report.get("memory", {}).get("notes", ()):
            show_warning(note)
        return f"{report['iterations']} iterations in {report['seconds']:.1f} s: {report['stopped']}"

    job = Job(
        lambda should_stop: reconstruct(dataset, parameters, scaling, request, should_stop),
        finish,
        keeps=lambda progress: isinstance(progress, Update),
    )
    # It lives as long as the job.
    _LiveView(job, viewer, list(inputs), layers, request if watch else None)
    session_of(viewer).start(DOCK, job)


class _LiveView(QObject):
    """The slice in view of a running reconstruction."""

    def __init__(
        self,
        job: Job,
        viewer: Viewer,
        inputs: list[Image],
        layers: ResultLayers,
        request: SliceRequest | None,
    ) -> None:
        super().__init__(job)
        self._job, self._viewer, self._inputs, self._layers = job, viewer, inputs, layers
        self._request = request
        self._view: SliceView | None = None
        # A slice that is shown is followed by the next one after a pause, in which the viewer can draw.
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SLICE_MILLISECONDS)
        self._timer.timeout.connect(self._ask)
        job.progressed.connect(self._show)
        job.ended.connect(self._end)
        if request is not None:
            viewer.dims.events.point.connect(self._ask)
            self._ask()

    def _ask(self, event: Any = None) -> None:
        if self._request is not None and self._job.running:
            self._request.ask(float(self._viewer.dims.point[-2]))

    def _show(self, progress: TaskProgress) -> None:
        if isinstance(progress, Update) and progress.image is not None:
            # Not before there is something to see.
            self._view = self._view or SliceView(self._viewer, self._inputs)
            self._layers.show_slice(progress)
            self._timer.start()

    def _end(self, result: Any) -> None:
        self._timer.stop()
        self._viewer.dims.events.point.disconnect(self._ask)
        if not self._job.succeeded:
            self._layers.discard()
            if self._view is not None:
                self._view.restore()
