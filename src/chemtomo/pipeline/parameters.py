"""The parameters of every step, each defined once: default, unit, bounds and help.

The options of the command line, the recipe that a result carries and the forms in napari are
all made from these models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["Parameters", "PreprocessParameters", "Range", "ReconstructParameters"]

Range = tuple[int, int]


class Parameters(BaseModel):
    """Base of the parameter models: immutable, and strict about unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PreprocessParameters(Parameters):
    """What happens to the projections before slices are chosen."""

    preprocess: Literal["none", "paper"] = Field(
        "none",
        title="Preprocessing",
        description="none: the data as it is. paper: each projection to the mean brightness, "
        "percentiles to 0 and 1, and a threshold, as in Huber et al. 2019.",
    )
    percentile_low: float = Field(
        1.0, ge=0, lt=50, title="Low percentile", description="Percentile that becomes 0 (paper)."
    )
    percentile_high: float = Field(
        98.0, gt=50, le=100, title="High percentile", description="Percentile that becomes 1 (paper)."
    )
    threshold: float = Field(
        0.05, ge=0, lt=1, title="Threshold", description="Scaled values below this become 0 (paper)."
    )


class ReconstructParameters(Parameters):
    """How tilt series become a volume."""

    method: Literal["sirt", "tv", "tgv"] = Field(
        "tgv",
        title="Method",
        description="tgv and tv: joint regularised reconstruction. sirt: each channel alone.",
    )
    data_term: Literal["kl", "l2"] = Field(
        "kl",
        title="Data term",
        description="kl: Kullback-Leibler, for counts (Poisson noise). l2: squares, for Gaussian noise.",
    )
    coupling: Literal["none", "frobenius"] = Field(
        "frobenius",
        title="Coupling",
        description="frobenius: channels share their edges. none: each channel alone.",
    )
    dims: Literal[2, 3] = Field(
        3, title="Dimensions", description="3: smooth across slices too. 2: every slice by itself."
    )
    normalisation: Literal["paper", "counts"] = Field(
        "counts",
        title="Normalisation",
        description="counts: channels weigh by their statistics and 'strength' scales the "
        "regularisation. paper: the weights 'mu' as in Huber et al. 2019.",
    )
    strength: float = Field(
        1.0,
        gt=0,
        title="Strength",
        description="Regularisation strength (counts normalisation): larger is smoother.",
    )
    mu: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        title="Weights",
        description="Weight of the data of a channel. In the paper's normalisation its mu; "
        "in counts a factor on its statistical weight (1 if not given).",
    )
    alpha0: float = Field(4.0, gt=0, title="alpha0", description="Weight of the second-order term of TGV.")
    alpha1: float = Field(
        1.0, gt=0, title="alpha1", description="Weight of the first-order term of TGV, or of TV."
    )
    slices: Range | None = Field(
        None, title="Slices", description="Rows y to reconstruct, START:STOP. All if not given."
    )
    crop: Literal["auto", "none"] | Range = Field(
        "auto",
        title="Crop",
        description="Detector columns to use: auto (the support of the data, symmetric about the "
        "tilt axis), none, or START:STOP.",
    )
    keep_crop: bool = Field(
        False, title="Keep crop", description="Keep the volume cropped instead of padding it back."
    )
    nonnegative: bool = Field(
        True,
        title="Non-negative",
        description="Keep SIRT values at or above zero (tv and tgv always do).",
    )
    iterations: int = Field(
        500, ge=1, le=1_000_000, title="Iterations", description="Hard limit of iterations."
    )
    tolerance: float = Field(
        0.002,
        ge=0,
        lt=1,
        title="Tolerance",
        description="Stop when the relative duality gap of tv or tgv is at most this and the image changes "
        "by less than 3 % while the iterations double. 0: do all iterations.",
    )
    steps: Literal["paper", "fast"] = Field(
        "fast",
        title="Steps",
        description="fast: the accelerated primal-dual iteration. paper: the published one.",
    )
    report_every: int = Field(
        10, ge=1, title="Report every", description="Evaluate the objective every so many iterations."
    )
    preview: bool = Field(
        False,
        title="Preview",
        description="Reconstruct at half the resolution and with ten times the tolerance, in a fraction of "
        "the time.",
    )
    memory: float | None = Field(
        None,
        gt=0,
        title="Memory (GiB)",
        description="Device memory to use. What does not fit is reconstructed in slabs of slices. "
        "70 % of what the device reports if not given.",
    )
    device: str = Field(
        "auto",
        title="Device",
        description="auto (the fastest GPU, else the CPU), gpu, cpu, numpy (the slow reference), "
        "or a number or part of a name from 'chemtomo devices'.",
    )

    @field_validator("slices", "crop", mode="before")
    @classmethod
    def _parse_range(cls, value: Any) -> Any:
        """Accept ``"START:STOP"`` for a range."""
        if isinstance(value, str) and ":" in value:
            start, _, stop = value.partition(":")
            return int(start), int(stop)
        return value

    @model_validator(mode="after")
    def _ranges_rise(self) -> ReconstructParameters:
        for name in ("slices", "crop"):
            value = getattr(self, name)
            if isinstance(value, tuple) and not 0 <= value[0] < value[1]:
                raise ValueError(f"{name}: found {value[0]}:{value[1]}; expected 0 <= START < STOP")
        return self
