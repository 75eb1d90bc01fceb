"""The share of a device that this process may use, where several processes share it."""

from __future__ import annotations

import os

__all__ = ["SHARED_BY_VARIABLE", "share_of_memory"]

SHARED_BY_VARIABLE = "CHEMTOMO_DEVICE_SHARED_BY"
"""The environment variable with the number of processes that share the device."""


def share_of_memory() -> float:
    """Return the fraction of the device's memory that is for this process: 1 unless it is shared."""
    try:
        return 1 / max(1, int(os.environ.get(SHARED_BY_VARIABLE, "1")))
    except ValueError:
        return 1.0
