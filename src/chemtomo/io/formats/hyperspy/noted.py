"""What `to_hyperspy` notes in the metadata of a signal, found again in memory and in files of HyperSpy."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from chemtomo.data import Alignment
from chemtomo.data.notebook.hyperspy_signal import DETAILS, KEY
from chemtomo.errors import ReadError
from chemtomo.io.found import Found
from chemtomo.io.labelled import LabelledArray, lookup, to_found

__all__ = ["interpreted", "noted_details"]


def noted_details(metadata: Mapping[str, Any], where: str) -> dict[str, Any] | None:
    """Return the details in the metadata of a signal; None where there are none.

    Raises
    ------
    ReadError
        When they are damaged; the message starts with `where`.
    """
    said = lookup(metadata, f"{KEY}.{DETAILS}")
    if said is None:
        return None
    try:
        (text,) = (said,) if isinstance(said, (str, bytes)) else said
        return dict(json.loads(text))
    except (TypeError, ValueError) as error:
        raise ReadError(
            f"{where}: found damaged metadata ({error}); expected those of to_hyperspy"
        ) from error


def interpreted(
    given: LabelledArray, details: Mapping[str, Any] | None, arrays: Mapping[str, Any]
) -> Found | None:
    """Interpret a signal with the details that were noted for it, see `chemtomo.io.labelled.to_found`.

    Parameters
    ----------
    given : LabelledArray
        The signal.
    details : mapping or None
        Of `noted_details`. Where the signal has another shape since, what it says itself counts.
    arrays : mapping
        The attributes of a tilt series that were kept as arrays, by their names.
    """
    if details is None or details.get("shape") != list(given.data.shape):
        return to_found(given)
    if given.tilts_deg is not None:
        # Tilts that are not in order, or a single one, have an axis that only numbers the projections.
        axes = (dataclasses.replace(given.axes[0], name="tilt"), *given.axes[1:])
        tilts = np.atleast_1d(np.asarray(given.tilts_deg))
        given = dataclasses.replace(given, axes=axes, tilts_deg=tilts)
    found = to_found(given)
    if found is None:
        return None
    common = {"source": details.get("source"), "provenance": tuple(details.get("provenance", ()))}
    if found.energy is not None:
        # eXSpy keeps the elements without an order.
        named = tuple(details.get("elements", ()))
        elements = named if set(named) == set(found.elements) else found.elements
        more: dict[str, Any] = {"elements": elements, "detectors": tuple(details.get("detectors", ()))}
    else:
        alignment, numbers = details.get("alignment"), details.get("recorded_numbers")
        down, across = details.get("first_pixel_nm", (0.0, 0.0))
        more = {"signal": details["kind"]}
        common |= {
            **arrays,
            "axis_position_px": details.get("axis_position_px"),
            "axis_angle_deg": details.get("axis_angle_deg"),
            "first_pixel_nm": (down, across),
            "recorded_numbers": None if numbers is None else tuple(numbers),
            "alignment": None if alignment is None else Alignment.from_json(alignment),
        }
    own = {name: value for name, value in common.items() if value is not None}
    return found.replace(notes=tuple(details.get("notes", ())), attributes=own, **more)
