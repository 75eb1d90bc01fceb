"""The recipe that a result carries: inputs, steps with their parameters, version, device."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

import chemtomo
from chemtomo.data import Dataset, TiltSeries
from chemtomo.pipeline.parameters import Parameters

__all__ = ["make_recipe"]


def make_recipe(dataset: Dataset, steps: Sequence[tuple[str, Parameters]], device: str) -> dict[str, Any]:
    """Describe how a result was made from `dataset`, ready for JSON.

    Parameters
    ----------
    dataset : Dataset
        The inputs, before the first step.
    steps : sequence of (str, Parameters)
        Name and parameters of every step, in order.
    device : str
        Where it was computed.
    """
    return {
        "chemtomo": chemtomo.__version__,
        "device": device,
        "inputs": [_describe(series) for series in dataset],
        "steps": [{"step": name, **parameters.model_dump(mode="json")} for name, parameters in steps],
    }


def _describe(series: TiltSeries) -> dict[str, Any]:
    return {
        "name": series.name,
        "source": series.source,
        "shape": list(series.shape),
        "kind": series.kind,
        "pixel_size_nm": series.pixel_size_nm,
        "sha256": hashlib.sha256(np.ascontiguousarray(series.data).tobytes()).hexdigest(),
        "notes": list(series.notes),
        "provenance": list(series.provenance),
    }
