"""Follow an iteration on its way to a known answer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.published_data import MU
from chemtomo.data import Dataset
from chemtomo.opencl import DeviceInfo
from chemtomo.recon import ReconstructParameters
from chemtomo.recon.frame import Frame
from chemtomo.recon.method import SlabIteration
from chemtomo.recon.variational import VariationalMethod

Plan = Mapping[str, tuple[int, int]]
"""How many iterations, and after how many to look."""

OBJECTIVE_TARGETS = (0.01, 0.001)
IMAGE_TARGETS = (0.02, 0.01)


@dataclasses.dataclass
class Way:
    """What was seen on the way: iterations, seconds (looking excluded), objective, gap, distances."""

    iterations: list[int]
    seconds: list[float]
    objectives: list[float]
    gaps: list[float | None]
    images: list[npt.NDArray[np.float32]]
    distances: list[list[float]]
    setup_seconds: float

    def measure(self, answer: npt.NDArray[np.float32]) -> Way:
        """Compare the images with the answer, and forget them."""
        self.distances = [distances(image, answer) for image in self.images]
        self.images = []
        return self

    def to_objective(self, minimum: float, target: float) -> dict[str, Any] | None:
        """First iteration within a fraction of the minimum, from which on it stays there."""
        return self._first([objective <= minimum * (1 + target) for objective in self.objectives])

    def to_image(self, target: float) -> dict[str, Any] | None:
        """First iteration with every channel within a fraction of the image, from which on it stays there."""
        return self._first([max(one) <= target for one in self.distances])

    def _first(self, reached: list[bool]) -> dict[str, Any] | None:
        at = len(reached)
        while at and reached[at - 1]:
            at -= 1
        if at == len(reached):
            return None
        return {"iterations": self.iterations[at], "seconds": self.seconds[at]}

    def summary(self, minimum: float) -> dict[str, Any]:
        lines: dict[str, Any] = {
            f"objective within {target:.1%}": self.to_objective(minimum, target)
            for target in OBJECTIVE_TARGETS
        }
        if self.distances:
            lines |= {f"image within {target:.0%}": self.to_image(target) for target in IMAGE_TARGETS}
        return lines | {
            "at the end": {
                "iterations": self.iterations[-1],
                "seconds": self.seconds[-1],
                "seconds_per_iteration": self.seconds[-1] / self.iterations[-1],
                "objective": self.objectives[-1],
                "above_minimum": self.objectives[-1] / minimum - 1,
                "gap": self.gaps[-1],
                "image_distances": self.distances[-1] if self.distances else None,
            },
            "setup_seconds": self.setup_seconds,
        }


def parameters_of(steps: str, **changes: Any) -> ReconstructParameters:
    """Joint TGV with the published weights."""
    published = {"normalisation": "paper", "mu": MU, "crop": "none", "keep_crop": True, "steps": steps}
    return ReconstructParameters(**(published | changes))


def start(
    dataset: Dataset, parameters: ReconstructParameters, device: DeviceInfo
) -> tuple[SlabIteration, float]:
    """Set a method up on all slices; the seconds it took."""
    began = time.perf_counter()
    frame = Frame.of(dataset, parameters.slices, parameters.crop, parameters.keep_crop)
    method = VariationalMethod(frame, parameters)
    step = method.iteration(0, frame.slices[1] - frame.slices[0], device)
    return step, time.perf_counter() - began


def follow(
    dataset: Dataset, parameters: Mapping[str, ReconstructParameters], device: DeviceInfo, plan: Plan
) -> dict[str, Way]:
    """Iterate, and look at objective and image now and then.

    Several iterations take turns, each in proportion to how many it does, so that a busy moment of the
    machine does not hit one alone.
    """
    ways, running = {}, {}
    for name, choice in parameters.items():
        step, setup_seconds = start(dataset, choice, device)
        step.advance()  # compiles the kernels
        step.release()
        step, _ = start(dataset, choice, device)
        ways[name] = Way([], [], [], [], [], [], setup_seconds)
        running[name] = _iterate(step, ways[name], *plan[name])
    done = dict.fromkeys(running, 0.0)
    while done:
        name = min(done, key=lambda one: done[one])
        try:
            done[name] = next(running[name])
        except StopIteration:
            del done[name]
    return ways


def _iterate(step: SlabIteration, way: Way, iterations: int, look_every: int) -> Generator[float, None, None]:
    """Yield how much is done, after every iteration."""
    seconds = 0.0
    for iteration in range(1, iterations + 1):
        began = time.perf_counter()
        step.advance()
        seconds += time.perf_counter() - began
        if iteration % look_every == 0 or iteration == iterations:
            found = step.objective()
            way.iterations.append(iteration)
            way.seconds.append(seconds)
            way.objectives.append(found.total)
            way.gaps.append(found.gap)
            way.images.append(step.volume())
        yield iteration / iterations
    step.release()


def distances(image: npt.NDArray[np.float32], answer: npt.NDArray[np.float32]) -> list[float]:
    """Relative L2 distance of every channel."""
    return [
        float(np.linalg.norm(one - other) / np.linalg.norm(other))
        for one, other in zip(image.astype(np.float64), answer, strict=True)
    ]
