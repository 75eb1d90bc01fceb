"""What a reconstruction needs to be told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chemtomo.parameters import Parameters, Range, only_for

__all__ = ["ReconstructParameters"]

_JOINT = only_for(method=("tv", "tgv"))


class ReconstructParameters(Parameters):
    """How tilt series become a volume."""

    method: Literal["sirt", "tv", "tgv"] = Field(
        "tgv",
        title="Method",
        description="tgv and tv: joint regularised reconstruction. sirt: each channel alone.",
    )
    data_term: Annotated[Literal["kl", "l2"], _JOINT] = Field(
        "kl",
        title="Data term",
        description="kl: Kullback-Leibler, for counts (Poisson noise). l2: squares, for Gaussian noise.",
    )
    vacuum: Literal["auto", "zero"] = Field(
        "auto",
        title="Vacuum",
        description="auto: find the level of vacuum in every projection of an intensity, which may be "
        "negative, and reconstruct what is above it. zero: take intensities as they are. Counts, and the "
        "paper's normalisation, always begin at zero.",
    )
    coupling: Annotated[Literal["none", "frobenius", "nuclear"], _JOINT] = Field(
        "frobenius",
        title="Coupling",
        description="frobenius: channels share the places of their edges. nuclear: also their directions. "
        "none: each channel alone.",
    )
    dims: Annotated[Literal[2, 3], _JOINT] = Field(
        3, title="Dimensions", description="3: smooth across slices too. 2: every slice by itself."
    )
    normalisation: Annotated[Literal["paper", "counts"], _JOINT] = Field(
        "counts",
        title="Normalisation",
        description="counts: channels weigh by their statistics and 'strength' scales the "
        "regularisation. paper: the weights 'mu' as in Huber et al. 2019.",
    )
    strength: Annotated[float, only_for(method=("tv", "tgv"), normalisation="counts")] = Field(
        1.0,
        gt=0,
        title="Strength",
        description="Regularisation strength (counts normalisation): larger is smoother.",
    )
    mu: Annotated[dict[str, Annotated[float, Field(gt=0)]], _JOINT] = Field(
        default_factory=dict,
        title="Weights",
        description="Weight of the data of a channel. In the paper's normalisation its mu; "
        "in counts a factor on its statistical weight (1 if not given).",
    )
    alpha0: Annotated[float, only_for(method="tgv")] = Field(
        4.0, gt=0, title="alpha0", description="Weight of the second-order term of TGV."
    )
    alpha1: Annotated[float, _JOINT] = Field(
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
    field: Literal["sample", "wide", "auto"] = Field(
        "auto",
        title="Field",
        description="sample: a volume as wide as the detector. wide: as far as the highest tilt sees, for "
        "matter beside the field that is tilted into it; it is cut off at the end. auto: wide where there is "
        "signal at the edges of the detector.",
    )
    thickness: float | None = Field(
        None,
        gt=0,
        title="Thickness (nm)",
        description="Depth of a film or lamella along the beam at 0 degrees: the volume is a slab, at the "
        "place where the data have it. If not given, found from the data in a wide field, else unlimited.",
    )
    keep_crop: bool = Field(
        False, title="Keep crop", description="Keep the volume cropped instead of padding it back."
    )
    nonnegative: Annotated[bool, only_for(method="sirt")] = Field(
        True,
        title="Non-negative",
        description="Keep SIRT values at or above zero (tv and tgv always do).",
    )
    iterations: int = Field(
        500, ge=1, le=1_000_000, title="Iterations", description="Hard limit of iterations."
    )
    tolerance: Annotated[float, _JOINT] = Field(
        0.002,
        ge=0,
        lt=1,
        title="Tolerance",
        description="Stop when the relative duality gap of tv or tgv is at most this and the image changes "
        "by less than 3 % while the iterations double. 0: do all iterations.",
    )
    steps: Annotated[Literal["paper", "fast"], _JOINT] = Field(
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
    slabs: int | None = Field(
        None,
        ge=1,
        title="Slabs",
        description="Reconstruct in at least so many slabs of slices, one after the other. As few as fit if "
        "not given.",
    )
    device: str = Field(
        "auto",
        title="Device",
        description="auto (the fastest GPU, else the CPU), gpu, cpu, numpy (the slow reference), "
        "or a number or part of a name from 'chemtomo devices'.",
    )

    @property
    def couples_slices(self) -> bool:
        """Whether slices depend on each other, so that slabs of them overlap."""
        return self.method != "sirt" and self.dims == 3
