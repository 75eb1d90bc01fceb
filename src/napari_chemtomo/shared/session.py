"""What lives with a viewer and not with a dock: its jobs, and what its forms showed last."""

from __future__ import annotations

import weakref
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_chemtomo.shared.jobs import Job

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["Session", "session_of"]

# A session goes when its viewer goes.
_sessions: weakref.WeakKeyDictionary[Viewer, Session] = weakref.WeakKeyDictionary()


def session_of(viewer: Viewer) -> Session:
    """Return the session of a viewer, or of the viewer behind the proxy that napari gives to plugins."""
    viewer = getattr(viewer, "__wrapped__", viewer)
    return _sessions.setdefault(viewer, Session())


class Session(QObject):
    """The jobs of one viewer, and the values of its forms.

    A dock that is closed takes neither with it: opened again, it finds both here.
    """

    started = Signal(str)
    """Emitted with the name of the dock whose job has started."""

    def __init__(self) -> None:
        super().__init__()
        self.remembered: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        """What the forms showed last, by the names of the docks."""
        self._jobs: dict[str, Job] = {}

    def job(self, name: str) -> Job | None:
        """Return the job of a dock that is going on."""
        return self._jobs.get(name)

    def start(self, name: str, job: Job) -> Job:
        """Keep a job until it ends."""
        self._jobs[name] = job
        # Before all others that are told of the end: for them there is no job any more.
        job.ended.connect(lambda result: self._jobs.pop(name, None))
        self.started.emit(name)
        return job
