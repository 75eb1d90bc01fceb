"""The records that steps leave in the provenance of a series. They are read by people and by recipes only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chemtomo.data.fingerprint import alignment_digest, frame_digest
from chemtomo.data.tilt_series import TiltSeries

__all__ = ["matches", "recorded"]


def recorded(
    before: TiltSeries | None, after: TiltSeries, step: str, parameters: Mapping[str, Any], **more: Any
) -> TiltSeries:
    """Return a series with the record of one step added to the provenance that it had before.

    Parameters
    ----------
    before, after : TiltSeries
        The series before the step and after it; None where there was none.
    step : str
        Name of the step.
    parameters : mapping
        Its parameters, as far as they differ from the defaults.
    **more
        Further entries, as JSON values.
    """
    record = {"step": step, "parameters": dict(parameters), **more, "after": _state(after)}
    return after.replace(provenance=(*(() if before is None else before.provenance), record))


def matches(series: TiltSeries, record: Mapping[str, Any]) -> tuple[bool, bool]:
    """Tell whether the numbers, and the alignment, of a series are still those after a recorded step."""
    found, state = record.get("after", {}), _state(series)
    return found.get("frame") == state["frame"], found.get("alignment") == state["alignment"]


def _state(series: TiltSeries) -> dict[str, Any]:
    return {
        "name": series.name,
        "frame": frame_digest(series),
        "alignment": alignment_digest(series.alignment),
    }
