"""The preview of the dock *Prepare*: a layer with the prepared projection of the tilt in view."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from chemtomo.errors import ChemTomoError
from chemtomo.pipeline.prepare_view import PreparedProjection, PreparedView, ViewStopped
from chemtomo.preprocess.operation import Operation
from napari_chemtomo.layers.appearance import intensity_limits
from napari_chemtomo.layers.metadata import metadata_of
from napari_chemtomo.layers.prepared import preview_layer
from napari_chemtomo.layers.tilt_series import to_dataset
from napari_chemtomo.shared.latest import Latest
from napari_chemtomo.shared.slider import projection_in_view

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

__all__ = ["PreparePreview"]

# Long enough to let the slider draw, and short enough not to be noticed.
_DEBOUNCE_MILLISECONDS = 30


@dataclasses.dataclass(frozen=True, eq=False)
class _Question:
    """What to show: a projection, after these operations, of these layers."""

    view: PreparedView
    steps: tuple[Operation, ...]
    number: int


@dataclasses.dataclass(frozen=True, eq=False)
class _Answer:
    """The projection, unless it is dropped, and contrast limits for it."""

    projection: PreparedProjection | None
    limits: tuple[float, float]


class PreparePreview(QObject):
    """A layer that shows what the operations make of the projection in view.

    Whatever takes time is done in a thread, and only for the newest choice: the event loop never waits.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layer appears.
    """

    status = Signal(str)
    """Emitted with a sentence on what is shown, or why it is not."""

    shown = Signal(int)
    """Emitted with the number of the projection that the layer shows now."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._source: Image | None = None
        self._steps: tuple[Operation, ...] = ()
        self._view: PreparedView | None = None
        self._made_of: Any = None
        self._layer: Image | None = None
        self._limits_of: Any = None
        # What operations have to know of the whole series takes its time. Until it is known, the slider is
        # followed without them.
        self._quick: PreparedView | None = None
        self._quick_of: PreparedView | None = None
        self._full: PreparedView | None = None
        self._full_steps: tuple[Operation, ...] = ()
        self._latest = Latest(_answer, self._show, self._fail)
        self._whole = Latest(_look_at_all, self._known, self._fail)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DEBOUNCE_MILLISECONDS)
        self._timer.timeout.connect(self._ask)
        viewer.dims.events.point.connect(self._moved)
        viewer.layers.events.removed.connect(self._removed)

    @property
    def layer(self) -> Image | None:
        """The layer of the preview, while there is one."""
        return self._layer

    @property
    def busy(self) -> bool:
        """Whether a newer projection is still to come."""
        return self._timer.isActive() or self._latest.busy or self._whole.busy

    def start(self, source: Image, layers: Sequence[Image], steps: Sequence[Operation]) -> None:
        """Show what the operations make of the layer `source`, one of `layers`.

        Raises
        ------
        DataError
            When a layer is no tilt series.
        """
        # The same data and metadata give the same view, with all that it has computed.
        made_of = (source.unique_id, [(one.unique_id, id(one.data), one.name) for one in layers])
        if self._view is None or made_of != self._made_of:
            dataset = to_dataset(layers)
            self._view = PreparedView(dataset, dataset.names[list(layers).index(source)])
            self._made_of = made_of
            self._full, self._full_steps = None, ()
        self._source = source
        self._steps = tuple(steps)
        if any(one.whole_stack for one in self._steps) and self._full_steps != self._steps:
            self._whole.ask(_Question((self._full or self._view).fork(), self._steps, 0))
        else:
            self._whole.forget()
        self._timer.start()

    def stop(self) -> None:
        """Remove the layer and show nothing more."""
        self._source = None
        self._timer.stop()
        self._latest.forget()
        self._whole.forget()
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _moved(self, event: Any = None) -> None:
        # While it runs, the timer is left alone, so that the preview follows a slider that keeps moving.
        if self._source is not None and not self._timer.isActive():
            self._timer.start()

    def _removed(self, event: Any) -> None:
        if _same(event.value, self._layer):
            self._layer = None
            if self._source is not None:
                self._source = None
                self.status.emit("The preview was removed; check it again to see it.")
        elif _same(event.value, self._source):
            self.stop()

    def _ask(self) -> None:
        if self._source is None or self._view is None:
            return
        number = projection_in_view(self._viewer, self._source)
        if self._full is not None and self._full_steps == self._steps:
            self._latest.ask(_Question(self._full, self._steps, number))
        else:
            quick = tuple(one for one in self._steps if not one.whole_stack)
            self._latest.ask(_Question(self._quick_view(), quick, number))

    def _quick_view(self) -> PreparedView:
        """Return the view for what needs no other projection; only the thread of `_latest` uses it."""
        assert self._view is not None
        if self._quick is None or self._quick_of is not self._view:
            self._quick, self._quick_of = self._view.fork(), self._view
        return self._quick

    def _wanted(self, question: _Question) -> bool:
        return self._source in self._viewer.layers and question.view in (self._quick, self._full)

    def _known(self, question: _Question, answer: Any) -> None:
        """Take over what is known of the whole series, if it is still asked for."""
        if answer is not None and self._source is not None and question.steps == self._steps:
            self._full, self._full_steps = question.view, question.steps
            self._timer.start()

    def _show(self, question: _Question, answer: _Answer) -> None:
        if not self._wanted(question):
            return
        found = answer.projection
        tilt = metadata_of(self._source)["tilts_deg"][question.number] if self._source is not None else 0.0
        if found is None:
            if self._layer is not None:
                self._layer.visible = False
            self.status.emit(f"The projection at {tilt:g}° is dropped.")
            self.shown.emit(question.number)
            return
        data, attributes, _ = preview_layer(
            found.image, self._source, found.pixel_size_nm, found.origin_nm, answer.limits
        )
        limits = attributes.pop("contrast_limits")
        if self._layer is None:
            self._layer = self._viewer.add_image(data, contrast_limits=limits, **attributes)
            self._viewer.layers.selection.active = self._source
        else:
            self._layer.data = data
            for name in ("scale", "translate"):
                if not np.array_equal(getattr(self._layer, name), attributes[name]):
                    setattr(self._layer, name, attributes[name])
            if self._limits_of != (question.steps, self._source):
                self._layer.contrast_limits = limits
            if self._layer.metadata != attributes["metadata"]:  # of another source
                for name in ("name", "colormap", "metadata"):
                    setattr(self._layer, name, attributes[name])
            self._layer.visible = True
        self._limits_of = (question.steps, self._source)
        y, x = found.image.shape
        waits = [one.title for one in self._steps if one.whole_stack and one not in question.steps]
        missing = f" Still without {', '.join(waits)}: looking at the whole series…" if waits else ""
        self.status.emit(f"Preview at {found.tilt_deg:g}°: {x} × {y} pixels.{missing}")
        self.shown.emit(question.number)

    def _fail(self, question: _Question, error: ChemTomoError) -> None:
        if self._wanted(question) or question.steps is self._steps:
            if self._layer is not None:
                self._layer.visible = False
            self.status.emit(str(error))


def _same(one: Any, other: Any) -> bool:
    """Tell whether two are the same layer; plugins get some of them wrapped."""
    return other is not None and one.unique_id == other.unique_id


def _look_at_all(question: _Question, newer: Callable[[], Any]) -> bool | None:
    """Find what operations have to know of the whole series; None when others are wanted by now."""
    try:
        question.view.prepare(question.steps, lambda: newer() is not None)
    except ViewStopped:
        return None
    return True


def _answer(question: _Question, newer: Callable[[], Any]) -> _Answer:
    """Return what to show."""
    question.view.prepare(question.steps)
    found = question.view.projection(question.number)
    return _Answer(found, (0.0, 1.0) if found is None else intensity_limits(found.image))
