"""``python -m benchmarks.methods``: the classical methods beside ASTRA's, and how long SIRT takes.

Prints one JSON document. Every difference to ASTRA is told twice: with its own projector (``linear``),
and with a matrix of our weights. The first is what the projectors differ by, the second what the methods do.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import rounded
from chemtomo.data import Dataset, TiltSeries
from chemtomo.geometry import ParallelBeam
from chemtomo.opencl import choose_device
from chemtomo.operators import Projector
from chemtomo.progress import finish
from chemtomo.recon import ReconstructParameters, reconstruct
from chemtomo.recon.filtered_back_projection import filter_sinograms
from chemtomo.recon.reconstruction import ReconstructionProgress
from chemtomo.solvers import Limits

EDGE = 128
ITERATIONS = {"fbp": 1, "sirt": 50, "sart": 3, "cgls": 10}
# ASTRA counts every tilt as an iteration of SART, and scales FBP as if the tilts covered half a turn.
TILTS = {"fbp": np.arange(-90.0, 90, 2)}
LIMITED_TILTS = np.arange(-76.0, 77, 2)
FINER = 4
WITHIN = 0.45  # of the edge, from the centre

Image = npt.NDArray[np.float32]


def specimen(edge: int) -> npt.NDArray[np.float64]:
    """A body with particles and a void."""
    from scipy.ndimage import gaussian_filter

    z, x = np.meshgrid(*2 * [np.arange(edge) - (edge - 1) / 2], indexing="ij")
    image = np.where(np.hypot(1.3 * z, x) < 0.38 * edge, 1.0, 0.0)
    for place, radius, change in (
        ((0.1, -0.15), 0.06, 1.0),
        ((-0.08, 0.12), 0.09, -0.6),
        ((0.02, 0.02), 0.03, 2.0),
    ):
        image[np.hypot(z - place[0] * edge, x - place[1] * edge) < radius * edge] += change
    return gaussian_filter(image, edge / EDGE)


def discrete_specimen(edge: int) -> npt.NDArray[np.float64]:
    """Three levels: the vacuum, a body with a hole, and particles in it."""
    z, x = np.meshgrid(*2 * [np.arange(edge) - (edge - 1) / 2], indexing="ij")
    image = np.zeros((edge, edge))
    image[np.hypot(z, 0.8 * x) < 0.4 * edge] = 1.0
    image[np.hypot(z + 0.12 * edge, x - 0.15 * edge) < 0.13 * edge] = 2.3
    image[(np.abs(z - 0.15 * edge) < 0.07 * edge) & (np.abs(x + 0.1 * edge) < 0.2 * edge)] = 2.3
    image[np.hypot(z - 0.02 * edge, x + 0.22 * edge) < 0.07 * edge] = 0
    return image


def projections(image: npt.NDArray[np.float64], tilts: npt.NDArray[np.float64]) -> Image:
    """Project (z, x) to (tilt, detector)."""
    edge = image.shape[-1]
    projector = Projector(ParallelBeam(tilts, edge, (edge, edge)), 1, 1)
    return projector.forward(image[np.newaxis, :, np.newaxis])[0, :, 0].astype(np.float32)


def fine_projections(edge: int, tilts: npt.NDArray[np.float64]) -> Image:
    """Project a specimen four times as fine, so that neither program's weights are in the data."""
    fine = projections(specimen(FINER * edge), tilts).reshape(tilts.size, edge, FINER)
    return fine.mean(axis=-1) / FINER


def ours(sinogram: Image, tilts: npt.NDArray[np.float64], device: str, rows: int = 1, **choices: Any) -> Any:
    """Reconstruct the same sinogram in so many rows."""
    stack = np.repeat(sinogram[:, np.newaxis], rows, axis=1)
    parameters = ReconstructParameters(**({"crop": "none", "field": "sample", "device": device} | choices))
    limits = Limits(parameters.iterations, parameters.iterations)
    return finish(reconstruct(Dataset((TiltSeries("slice", stack, tilts),)), parameters, limits))


def astras(
    name: str, sinogram: Image, tilts: npt.NDArray[np.float64], iterations: int, *, matrix: bool
) -> Image:
    """Reconstruct (tilt, detector) by ASTRA on a CPU, with its projector or with the matrix of ours."""
    import astra

    edge = sinogram.shape[1]
    volume_geometry = astra.create_vol_geom(edge, edge)
    angles = -np.deg2rad(tilts)  # its y axis points up
    order = np.argsort(-tilts)
    if matrix:
        weights = Projector(ParallelBeam(tilts, edge, (edge, edge)), 1, 1).matrix.astype(np.float32)
        kept = astra.matrix.create(weights)
        geometry = astra.create_proj_geom("sparse_matrix", 1.0, edge, angles, kept)
        projector = astra.create_projector("sparse_matrix", geometry, volume_geometry)
    else:
        geometry = astra.create_proj_geom("parallel", 1.0, edge, angles)
        projector = astra.create_projector("linear", geometry, volume_geometry)
    data = astra.data2d.create("-sino", geometry, sinogram)
    result = astra.data2d.create("-vol", volume_geometry, 0.0)
    configuration = astra.astra_dict(name.upper())
    configuration |= {"ProjectorId": projector, "ProjectionDataId": data, "ReconstructionDataId": result}
    if name == "sart":
        configuration["option"] = {"ProjectionOrder": "custom", "ProjectionOrderList": order.tolist()}
    algorithm = astra.algorithm.create(configuration)
    astra.algorithm.run(algorithm, iterations * (tilts.size if name == "sart" else 1))
    image: Image = astra.data2d.get(result)
    astra.algorithm.delete(algorithm)
    astra.projector.delete(projector)
    astra.data2d.delete([data, result])
    return image


def compared(device: str) -> dict[str, Any]:
    """Largest and root mean square difference of every method to ASTRA's, over the maximum of its image."""
    z, x = np.meshgrid(*2 * [np.arange(EDGE) - (EDGE - 1) / 2], indexing="ij")
    within = np.hypot(z, x) < WITHIN * EDGE
    found: dict[str, Any] = {}
    for name, iterations in ITERATIONS.items():
        tilts = TILTS.get(name, LIMITED_TILTS)
        sinogram = fine_projections(EDGE, tilts)
        options = {"order": "sequential"} if name == "sart" else {}
        own = ours(sinogram, tilts, device, method=name, iterations=iterations, nonnegative=False, **options)
        image = own.volume.data[0, :, 0]
        found[name] = {"iterations": iterations, "tilts": tilts.size}
        for projector, matrix in (("astra_linear", False), ("same_projector", True)):
            if name == "fbp" and matrix:  # ASTRA's takes no matrix: its back-projection of what we filtered
                filtered = filter_sinograms(sinogram[np.newaxis], tilts, window="ramp")[0]
                image = astras("bp", filtered, tilts, 1, matrix=False)
                other = astras("fbp", sinogram, tilts, 1, matrix=False)
            else:
                other = astras(name, sinogram, tilts, iterations, matrix=matrix)
            difference = np.abs(image - other)[within] / np.abs(other[within]).max()
            found[name][projector] = {
                "largest": float(difference.max()),
                "rms": float(np.sqrt((difference**2).mean())),
            }
    return found


def _astra_seconds(task: tuple[int, int, int]) -> tuple[float, float]:
    """Time, and that of the processor, of so many slices and iterations; the preparation is left out."""
    import astra

    edge, slices, iterations = task
    volume_geometry = astra.create_vol_geom(edge, edge)
    geometry = astra.create_proj_geom("parallel", 1.0, edge, np.deg2rad(LIMITED_TILTS))
    projector = astra.create_projector("linear", geometry, volume_geometry)
    data = astra.data2d.create("-sino", geometry, projections(specimen(edge), LIMITED_TILTS))
    result = astra.data2d.create("-vol", volume_geometry, 0.0)
    configuration = astra.astra_dict("SIRT")
    configuration |= {"ProjectorId": projector, "ProjectionDataId": data, "ReconstructionDataId": result}
    algorithm = astra.algorithm.create(configuration)
    astra.algorithm.run(algorithm, 1)
    began = time.perf_counter(), time.process_time()
    for _ in range(slices):
        astra.algorithm.run(algorithm, iterations)
    return time.perf_counter() - began[0], time.process_time() - began[1]


def sirt_seconds(device: str, edge: int, iterations: int, rounds: int) -> dict[str, Any]:
    """SIRT of a cube by turns: ours whole, ASTRA's of a few slices on every core, scaled to all of them."""
    sinogram = projections(specimen(edge), LIMITED_TILTS)
    cores = os.cpu_count() or 1
    part, of_astra = 2, 5  # slices a core, iterations
    own: list[tuple[float, float]] = []
    other: list[tuple[float, float]] = []
    context = multiprocessing.get_context("spawn")
    with context.Pool(cores) as pool:
        for _ in range(rounds):
            own.append(_own_seconds(sinogram, edge, device, iterations))
            times = pool.map(_astra_seconds, [(edge, part, of_astra)] * cores, chunksize=1)
            scale = edge / (part * cores) / of_astra
            other.append((scale * max(one for one, _ in times), scale * sum(one for _, one in times)))
    columns = {"seconds": 0, "processor_seconds": 1}
    return {
        "edge": edge,
        "tilts": LIMITED_TILTS.size,
        "iterations_timed": iterations,
        "cores": cores,
        "ours_per_100_iterations": {name: [100 * one[at] for one in own] for name, at in columns.items()},
        "astra_per_100_iterations": {name: [100 * one[at] for one in other] for name, at in columns.items()},
        "times_faster": {
            name: [theirs[at] / mine[at] for mine, theirs in zip(own, other, strict=True)]
            for name, at in columns.items()
        },
    }


def _own_seconds(sinogram: Image, edge: int, device: str, iterations: int) -> tuple[float, float]:
    """Seconds of an iteration, and those of all cores together."""
    settings = ReconstructParameters(
        method="sirt", crop="none", field="sample", nonnegative=False, device=device
    )
    stack = np.repeat(sinogram[:, np.newaxis], edge, axis=1)
    dataset = Dataset((TiltSeries("cube", stack, LIMITED_TILTS),))
    running = reconstruct(dataset, settings, Limits(1 + iterations, 1000))
    done = 0
    began = 0.0, 0.0
    while done < iterations:
        if isinstance(next(running), ReconstructionProgress):
            done += 1
            if done == 1:  # which compiles
                began = time.perf_counter(), time.process_time()
    seconds = time.perf_counter() - began[0], time.process_time() - began[1]
    running.close()
    return seconds[0] / (iterations - 1), seconds[1] / (iterations - 1)


def dart(device: str) -> dict[str, Any]:
    """Three levels, 96 x 96, 30 projections, grey levels estimated."""
    truth = discrete_specimen(96)
    found = {}
    for name, tilts in (("180 degrees", np.arange(30) * 6.0 - 87), ("140 degrees", np.linspace(-70, 70, 30))):
        result = ours(projections(truth, tilts), tilts, device, method="dart", levels=3, iterations=100)
        image = result.volume.data[0, :, 0]
        sirt = ours(projections(truth, tilts), tilts, device, method="sirt", iterations=200).volume.data[
            0, :, 0
        ]
        size = np.linalg.norm(truth)
        found[name] = {
            "nrmse": float(np.linalg.norm(image - truth) / size),
            "sirt_nrmse": float(np.linalg.norm(sirt - truth) / size),
            "levels": np.unique(image).tolist(),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.methods", description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="auto", help="auto, gpu, cpu, or number or part of a name")
    parser.add_argument("--edge", type=int, default=256, help="of the cube whose SIRT is timed")
    parser.add_argument("--iterations", type=int, default=100, help="of SIRT that are timed")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=["compare", "dart", "time"])
    chosen = parser.parse_args()
    device = choose_device(chosen.device)
    document: dict[str, Any] = {"device": "numpy" if device is None else device.name}
    try:
        import astra

        document["astra"] = astra.__version__
    except ImportError as error:
        document["astra"] = f"cannot be imported: {error}"
    if chosen.only in (None, "dart"):
        document["dart"] = dart(chosen.device)
    if chosen.only in (None, "compare"):
        document["differences"] = compared(chosen.device)
    if chosen.only in (None, "time"):
        document["sirt"] = sirt_seconds(chosen.device, chosen.edge, chosen.iterations, chosen.rounds)
    print(json.dumps(rounded(document), indent=2))


if __name__ == "__main__":
    main()
