"""The recipe that a result carries, and the report on the run that made it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, TiltSeries
from chemtomo.pipeline.parameters import Parameters, ReconstructParameters
from chemtomo.recon import Reconstructed
from chemtomo.solvers import IterationRecord
from chemtomo.version import VERSION

__all__ = ["make_recipe", "make_report"]


def make_recipe(
    dataset: Dataset, steps: Sequence[tuple[str, Parameters | Mapping[str, Any]]], device: str
) -> dict[str, Any]:
    """Describe how a result was made from `dataset`, ready for JSON.

    Parameters
    ----------
    dataset : Dataset
        The inputs, before the first step.
    steps : sequence of (str, Parameters or mapping)
        Name and parameters of every step, in order; a mapping is ready for JSON.
    device : str
        Where it was computed.
    """
    return {
        "chemtomo": VERSION,
        "device": device,
        "inputs": [_describe(series) for series in dataset],
        "steps": [
            {
                "step": name,
                **(parameters.model_dump(mode="json") if isinstance(parameters, Parameters) else parameters),
            }
            for name, parameters in steps
        ],
    }


def _describe(series: TiltSeries) -> dict[str, Any]:
    return {
        "name": series.name,
        "source": series.source,
        "shape": list(series.shape),
        "kind": series.kind,
        "pixel_size_nm": series.pixel_size_nm,
        "sha256": _digest(series.projections()),
        **_describe_model(series),
        "notes": list(series.notes),
        "provenance": list(series.provenance),
    }


def _describe_model(series: TiltSeries) -> dict[str, Any]:
    """Describe what the forward model has besides the defaults."""
    described: dict[str, Any] = {}
    for name in ("detector_shifts_px", "gains"):
        numbers = getattr(series, name)
        if numbers is not None:
            described[name] = numbers.tolist()
    if series.background is not None:
        described["background_sha256"] = _digest(series.backgrounds())
    return described


def _digest(projections: Iterable[npt.NDArray[Any]]) -> str:
    """Digest of a stack, of which only one projection is in memory."""
    digest = hashlib.sha256()
    for projection in projections:
        digest.update(np.ascontiguousarray(projection).tobytes())
    return digest.hexdigest()


def make_report(parameters: ReconstructParameters, reconstructed: Reconstructed) -> dict[str, Any]:
    """Describe how a reconstruction went, ready for JSON.

    Seconds count from the start of the first iteration, logging excluded. With several slabs each
    line of the history names its slab, and its seconds and iterations are those of the slab.
    """
    outcomes = [outcome for _, outcome in reconstructed.slabs]
    several = len(outcomes) > 1
    names = reconstructed.volume.names
    seconds = sum(outcome.seconds for outcome in outcomes)
    iterations = sum(outcome.iterations for outcome in outcomes)
    history = []
    for number, outcome in enumerate(outcomes):
        for record in outcome.history:
            line = _describe_record(record, names)
            history.append(line | {"slab": number} if several else line)
    report: dict[str, Any] = {
        "method": parameters.method,
        "device": reconstructed.device,
        "seconds": seconds,
        "tilts": dict(zip(names, reconstructed.tilts, strict=True)),
        "iterations": iterations,
        "seconds_per_iteration": seconds / max(iterations, 1),
        "stopped": "; ".join(dict.fromkeys(outcome.reason for outcome in outcomes)),
        "cancelled": any(outcome.cancelled for outcome in outcomes),
        "history": history,
        "memory": {
            "budget_bytes": reconstructed.budget_bytes,
            "peak_bytes": reconstructed.peak_bytes,
            "notes": list(reconstructed.notes),
        },
    }
    if several:
        report["slabs"] = [
            {
                "slices": [slab.start, slab.stop],
                "reconstructed": [slab.first, slab.last],
                "iterations": outcome.iterations,
                "seconds": outcome.seconds,
                "stopped": outcome.reason,
            }
            for slab, outcome in reconstructed.slabs
        ]
    return report


def _describe_record(record: IterationRecord, names: Sequence[str]) -> dict[str, Any]:
    line = {
        "iteration": record.iteration,
        "seconds": record.seconds,
        "objective": record.objective,
        "data": dict(zip(names, record.data, strict=True)),
        "regulariser": record.regulariser,
    }
    return line if record.gap is None else line | {"gap": record.gap}
