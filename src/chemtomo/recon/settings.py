"""What a reconstruction needs to be told. The defaults are in `chemtomo.pipeline.parameters`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

__all__ = ["Settings"]


class Settings(Protocol):
    """Choices of method and weights; `chemtomo.pipeline.ReconstructParameters` is one."""

    @property
    def method(self) -> Literal["sirt", "tv", "tgv"]:
        """Method."""

    @property
    def data_term(self) -> Literal["kl", "l2"]:
        """Data term of TV and TGV."""

    @property
    def coupling(self) -> Literal["none", "frobenius"]:
        """Whether the channels share their edges."""

    @property
    def dims(self) -> Literal[2, 3]:
        """Directions of the derivatives."""

    @property
    def normalisation(self) -> Literal["paper", "counts"]:
        """What the weights mean."""

    @property
    def strength(self) -> float:
        """Strength of the regularisation (counts)."""

    @property
    def mu(self) -> Mapping[str, float]:
        """Weights of the channels."""

    @property
    def alpha0(self) -> float:
        """Weight of the second-order term."""

    @property
    def alpha1(self) -> float:
        """Weight of the first-order term."""

    @property
    def slices(self) -> tuple[int, int] | None:
        """Rows to reconstruct."""

    @property
    def crop(self) -> Literal["auto", "none"] | tuple[int, int]:
        """Detector columns to use."""

    @property
    def keep_crop(self) -> bool:
        """Whether the volume stays cropped."""

    @property
    def nonnegative(self) -> bool:
        """Whether SIRT stays at or above zero."""

    @property
    def steps(self) -> Literal["paper", "fast"]:
        """Which primal-dual iteration."""

    @property
    def tolerance(self) -> float | None:
        """Relative duality gap at which to stop."""

    @property
    def memory(self) -> float | None:
        """Device memory to use, in GiB."""

    @property
    def device(self) -> str:
        """Where to compute, see `chemtomo.opencl.choose_device`."""
