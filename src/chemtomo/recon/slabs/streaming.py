"""Transfers during the computation.

While one slab is iterated, the data of the next is sent to the device, and the image of the previous one is
read back.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from chemtomo.recon.method import SlabIteration
from chemtomo.recon.slabs.plan import Slab

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from chemtomo.opencl.upload import Upload

__all__ = ["Streaming"]


class Streaming:
    """The slabs of one reconstruction on their way to the device and back.

    Parameters
    ----------
    image : numpy.ndarray, shape (channel, z, y, x)
        Receives the slices that slabs keep.
    send : callable, optional
        Starts to send the data of a slab ahead; ``None`` without a device.
    within : callable, optional
        Returns the part of an iterate that is stored in the image; all of it by default.
    """

    def __init__(
        self,
        image: npt.NDArray[np.float32],
        send: Callable[[Slab, Executor], Upload] | None,
        within: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]] = lambda image: image,
    ) -> None:
        self._image = image
        self._within = within
        self._send = send
        self._executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="chemtomo-transfer")
        self._ahead: tuple[Slab, Upload] | None = None
        self._landing: dict[Slab, Future[None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
        self._executor.shutdown(wait=True)
        if kind is None:
            self.land()

    def send_ahead(self, slab: Slab) -> None:
        """Begin to send the data of a slab, which will be the next."""
        self._forget()
        if self._send is not None:
            self._ahead = slab, self._send(slab, self._executor)

    def take(self, slab: Slab) -> Upload | None:
        """Return what was sent ahead for a slab, if it was; anything else that was is given up."""
        if self._ahead is not None and self._ahead[0] == slab:
            upload, self._ahead = self._ahead[1], None
            return upload
        self._forget()
        return None

    def bring_back(self, slab: Slab, iteration: SlabIteration) -> None:
        """Begin to copy the slices that a slab keeps into the image; its memory is given back then."""
        iteration.release_all_but_image()
        self._landing[slab] = self._executor.submit(self._store, slab, iteration)

    def land(self) -> None:
        """Wait until all that was brought back is in the image."""
        for future in self._landing.values():
            future.result()
        self._landing.clear()

    def _store(self, slab: Slab, iteration: SlabIteration) -> None:
        kept = slice(slab.start - slab.first, slab.stop - slab.first)
        try:
            self._image[:, :, slab.start : slab.stop] = self._within(iteration.volume()[:, :, kept])
        finally:
            iteration.release()

    def _forget(self) -> None:
        if self._ahead is not None:
            self._ahead[1].release()
            self._ahead = None
