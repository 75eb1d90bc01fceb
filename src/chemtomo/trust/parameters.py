"""What to find out about a result."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chemtomo.parameters import Parameters

__all__ = ["Criterion", "TrustParameters"]

Criterion = Literal["half-bit", "0.143", "0.5"]


class TrustParameters(Parameters):
    """What to find out about a result."""

    halves: Literal["counts", "tilts", "none"] = Field(
        "counts",
        title="Halves",
        description="Independent halves of the data for the resolution. counts: each count goes to one of "
        "two by chance; intensities are divided by tilts. tilts: every other tilt. none: no resolution.",
    )
    criterion: Criterion = Field(
        "half-bit",
        title="Criterion",
        description="Correlation at which the resolution is read: half-bit, 0.143 or 0.5.",
    )
    uncertainty: int = Field(
        0,
        ge=0,
        le=1000,
        title="Replicas",
        description="Number of replicas of the data, with other noise, that are reconstructed for the "
        "standard deviation of every voxel. 0: none; 20 cost about as much as 4 reconstructions.",
    )
    without_coupling: bool = Field(
        True,
        title="Without coupling",
        description="Reconstruct once without coupling, and warn where coupling costs a signal more than its "
        "noise allows.",
    )
    seed: int = Field(0, ge=0, title="Seed", description="Of the halves and of the noise of the replicas.")
