"""Tells a widget when the layers of its viewer change."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

__all__ = ["LayerFollower"]


class LayerFollower:
    """Calls a method when the layers of a viewer, their names or their metadata change.

    Both this object and napari keep weak references: when the widget that owns them goes, so do they.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    changed : callable
        A method without arguments, of the widget that keeps this object.
    """

    def __init__(self, viewer: Viewer, changed: Callable[[], None]) -> None:
        self._viewer = viewer
        self._changed = weakref.WeakMethod(changed)
        self._watched: list[Layer] = []
        for event in ("inserted", "removed", "reordered"):
            getattr(viewer.layers.events, event).connect(self._layers_changed)
        self._watch()

    def _layers_changed(self, event: Any = None) -> None:
        self._watch()
        self._tell()

    def _tell(self, event: Any = None) -> None:
        changed = self._changed()
        if changed is not None:
            changed()

    def _watch(self) -> None:
        for layer in self._watched:
            layer.events.name.disconnect(self._tell)
            layer.events.metadata.disconnect(self._tell)
        self._watched = list(self._viewer.layers)
        for layer in self._watched:
            layer.events.name.connect(self._tell)
            layer.events.metadata.connect(self._tell)
