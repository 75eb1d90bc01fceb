"""ASTRA's CPU projector on all cores: one process per core, each with its share of the slices."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

EDGE, DETECTOR_PIXELS = 303, 433
TILTS_DEG = np.arange(0, 180, 5.0)


class Astra:
    """The workers, waiting."""

    def __init__(self, connections: list[Connection], version: str) -> None:
        self._connections = connections
        self.version = version
        self.processes = len(connections)

    def project(self, direction: str, slices: int) -> None:
        """Project (``"forward"``) or back-project (``"adjoint"``) so many slices, and wait."""
        share, rest = divmod(slices, self.processes)
        for number, connection in enumerate(self._connections):
            connection.send((direction, share + (number < rest)))
        for connection in self._connections:
            connection.recv()


@contextlib.contextmanager
def astra_on_all_cores() -> Iterator[Astra | str]:
    """Start the workers, or say why there are none."""
    context = multiprocessing.get_context("spawn")
    workers, connections = [], []
    for _ in range(os.cpu_count() or 1):
        here, there = context.Pipe()
        worker = context.Process(target=_work, args=(there,), daemon=True)
        worker.start()
        workers.append(worker)
        connections.append(here)
    answers = [connection.recv() for connection in connections]
    try:
        failed = [answer for ready, answer in answers if not ready]
        yield failed[0] if failed else Astra(connections, answers[0][1])
    finally:
        for connection, worker in zip(connections, workers, strict=True):
            with contextlib.suppress(BrokenPipeError):
                connection.send(None)
            worker.join()


def _work(connection: Connection) -> None:
    try:
        import astra
    except ImportError as error:
        connection.send((False, f"astra-toolbox cannot be imported: {error}"))
        return
    algorithms = _algorithms(astra)
    connection.send((True, astra.__version__))
    while (task := connection.recv()) is not None:
        direction, slices = task
        for _ in range(slices):
            astra.algorithm.run(algorithms[direction])
        connection.send(slices)


def _algorithms(astra: Any) -> dict[str, int]:
    """Projection and back-projection of one slice that stays in the library's own memory."""
    volume_geometry = astra.create_vol_geom(EDGE, EDGE)
    angles = np.deg2rad(TILTS_DEG)
    projection_geometry = astra.create_proj_geom("parallel", 1.0, DETECTOR_PIXELS, angles)
    projector = astra.create_projector("linear", projection_geometry, volume_geometry)
    values = np.random.default_rng(0).random((EDGE, EDGE), dtype=np.float32)
    volume = astra.data2d.create("-vol", volume_geometry, values)
    sinogram = astra.data2d.create("-sino", projection_geometry, 1.0)
    algorithms = {}
    for direction, kind, volume_name in (
        ("forward", "FP", "VolumeDataId"),
        ("adjoint", "BP", "ReconstructionDataId"),
    ):
        configuration = astra.astra_dict(kind)
        configuration["ProjectorId"] = projector
        configuration["ProjectionDataId"] = sinogram
        configuration[volume_name] = volume
        algorithms[direction] = astra.algorithm.create(configuration)
    return algorithms
