"""Table 1 of Huber et al. 2019: PSNR of SIRT, TV and TGV, each channel alone and coupled, in 2D and 3D.

On the phantom rebuilt from the paper's description, each way with its own strengths, all found by the same
procedure: the strength of each channel with the highest PSNR where every channel is alone, from there the
common factor and then the factor of each channel where they are coupled. The truth is known to it, so that
this compares what the models can do, not how well strengths can be found.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from benchmarks.measure import rounded
from chemtomo import reconstruct
from chemtomo.data import Dataset, Volume
from chemtomo.samples import huber2019, huber2019_volume

_Setting = TypeVar("_Setting", bound=float)

PAPER: dict[str, tuple[float, float, float, float]] = {  # HAADF, Yb, Al, Si
    "SIRT": (19.05, 2.72, 8.26, 3.19),
    "TV alone 2D": (34.56, 6.22, 14.83, 9.17),
    "TV coupled 2D": (34.59, 10.14, 15.80, 9.94),
    "TV alone 3D": (35.15, 10.71, 18.42, 12.09),
    "TV coupled 3D": (35.05, 13.42, 18.78, 13.18),
    "TGV alone 2D": (35.10, 7.92, 14.66, 9.13),
    "TGV coupled 2D": (35.06, 10.74, 15.25, 9.85),
    "TGV alone 3D": (35.21, 11.40, 18.03, 10.98),
    "TGV coupled 3D": (35.23, 14.09, 18.28, 12.44),
}

METHODS = ("sirt", "cgls", "mlem", "tv", "tgv")
COUPLINGS = ("frobenius", "nuclear")
_STRENGTHS = tuple(0.125 * 2.0**power for power in range(10))
_EARLY_STOPS = (2, 5, 10, 20, 50, 100, 200)
_COMMON = (0.25, 0.5, 1.0, 2.0)
_EACH = (0.5, 2.0)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Slices and iterations, of the search for strengths and of the result."""

    slices: int = 12
    tuning_slices: int = 4
    tuning_iterations: int = 150
    iterations: int = 500


def table(
    sizes: Sizes, device: str = "auto", methods: Sequence[str] = METHODS, couplings: Sequence[str] = COUPLINGS
) -> tuple[dict[str, Any], dict[str, Volume]]:
    """Return the table, and the volumes that it is of."""
    problem, tuning = _Problem.of(sizes.slices, device), _Problem.of(sizes.tuning_slices, device)
    rows: dict[str, Any] = {}
    volumes: dict[str, Volume] = {"truth": problem.truth}

    def add(row: str, volume: Volume, seconds: float, tuned: Any) -> None:
        volumes[row] = volume
        rows[row] = {
            "PSNR": problem.psnr(volume),
            "paper": PAPER.get(row),
            "seconds": seconds,
            "tuned": tuned,
        }
        print(row, json.dumps(rounded(rows[row])), file=sys.stderr, flush=True)

    for method in (one for one in METHODS[:3] if one in methods):
        stops = {stop: tuning.solve(method=method, iterations=stop) for stop in _EARLY_STOPS}
        best = _best_of_each(tuning, stops)
        start = time.perf_counter()
        runs = {name: problem.solve(method=method, iterations=stop) for name, stop in best.items()}
        add(method.upper(), problem.joined(runs), time.perf_counter() - start, best)
    for method in (one for one in METHODS[3:] if one in methods):
        for dims in (2, 3):
            model = {"method": method, "dims": dims}
            search = {"iterations": sizes.tuning_iterations, "tolerance": 0.0} | model
            grid = {one: tuning.solve(strength=one, coupling="none", **search) for one in _STRENGTHS}
            alone = _best_of_each(tuning, grid)
            ways = {"alone": ("none", alone)}
            for coupling in couplings:
                strengths = _tune_together(tuning, alone, coupling=coupling, **search)
                ways["coupled" if coupling == "frobenius" else coupling] = (coupling, strengths)
            for way, (coupling, strengths) in ways.items():
                start = time.perf_counter()
                volume = problem.solve(
                    mu=_factors(strengths), coupling=coupling, iterations=sizes.iterations, **model
                )
                add(f"{method.upper()} {way} {dims}D", volume, time.perf_counter() - start, strengths)
    document = {
        "slices": sizes.slices,
        "iterations": sizes.iterations,
        "channels": problem.truth.names,
        "PSNR of the noise": problem.psnr_of_noise(),
        "rows": rows,
    }
    return document, volumes


@dataclasses.dataclass(frozen=True)
class _Problem:
    dataset: Dataset
    expected: Dataset
    truth: Volume
    device: str

    @classmethod
    def of(cls, slices: int, device: str) -> _Problem:
        # HAADF is as much a count as the maps here, and so its weight is that of its noise.
        counts = huber2019(slices).map(lambda series: series.replace(kind="counts"))
        return cls(counts, huber2019(slices, noise=False), huber2019_volume(slices), device)

    def solve(self, **parameters: Any) -> Volume:
        return reconstruct(self.dataset, device=self.device, field="sample", **parameters).volume

    def joined(self, volumes: Mapping[str, Volume]) -> Volume:
        """Return one channel of each."""
        data = np.stack([volumes[name][name] for name in self.truth.names])
        return dataclasses.replace(volumes[self.truth.names[0]], data=data)

    def psnr(self, volume: Volume) -> dict[str, float]:
        return {name: _psnr(self._inside(volume[name]), self.truth[name]) for name in self.truth.names}

    def psnr_of_noise(self) -> dict[str, float]:
        return {one.name: _psnr(self.dataset[one.name].data, one.data) for one in self.expected}

    def _inside(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        beside = (image.shape[-1] - self.truth.data.shape[-1]) // 2
        return image[beside:-beside, :, beside:-beside]


def _psnr(found: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    error = float(np.mean((np.asarray(found, np.float64) - truth) ** 2))
    return float(10 * np.log10(float(truth.max()) ** 2 / error))


def _best_of_each(problem: _Problem, volumes: Mapping[_Setting, Volume]) -> dict[str, _Setting]:
    scores = {setting: problem.psnr(volume) for setting, volume in volumes.items()}
    return {name: max(scores, key=lambda one: scores[one][name]) for name in problem.truth.names}


def _tune_together(problem: _Problem, alone: Mapping[str, float], **model: Any) -> dict[str, float]:
    """Return the strengths that are best together, by the mean PSNR of the channels."""

    def score(strengths: Mapping[str, float]) -> float:
        return float(np.mean(list(problem.psnr(problem.solve(mu=_factors(strengths), **model)).values())))

    tried = [{name: factor * one for name, one in alone.items()} for factor in _COMMON]
    best, reached = max(((one, score(one)) for one in tried), key=lambda pair: pair[1])
    for name in problem.truth.names:
        for factor in _EACH:
            changed = best | {name: factor * best[name]}
            if (found := score(changed)) > reached:
                best, reached = changed, found
                break
    return best


def _factors(strengths: Mapping[str, float]) -> dict[str, float]:
    """Weights of the data of the channels at strength 1."""
    return {name: 1 / strength for name, strength in strengths.items()}


def draw(volumes: Mapping[str, Volume], path: Path) -> None:
    """Draw a slice of every row: HAADF, and the maps in the colours of the paper's figure 3."""
    import imageio.v3 as imageio

    truth = volumes["truth"]
    tops = {name: float(truth[name].max()) for name in truth.names}
    pictures = []
    for volume in volumes.values():
        beside = (volume.data.shape[-1] - truth.data.shape[-1]) // 2
        inner = slice(beside, volume.data.shape[-1] - beside)
        level = {n: np.clip(volume[n][inner, volume.data.shape[2] // 2, inner] / tops[n], 0, 1) for n in tops}
        colour = np.stack([level["Si"], level["Yb"], level["Al"]], axis=-1)
        grey = np.repeat(level["HAADF"][..., np.newaxis], 3, axis=-1)
        pictures.append(np.vstack([grey[::-1], colour[::-1]]))
    imageio.imwrite(path, (255 * np.hstack(pictures)).astype(np.uint8))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=Sizes.slices)
    parser.add_argument("--tuning-slices", type=int, default=Sizes.tuning_slices)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--couplings", nargs="*", choices=COUPLINGS, default=COUPLINGS)
    parser.add_argument("--picture", type=Path, help="PNG to draw a slice of every row to")
    chosen = parser.parse_args()
    document, volumes = table(
        Sizes(chosen.slices, chosen.tuning_slices), chosen.device, chosen.methods, chosen.couplings
    )
    print(json.dumps(rounded(document), indent=1))
    if chosen.picture is not None:
        draw(volumes, chosen.picture)
