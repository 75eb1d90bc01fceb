"""The parameters of a reconstruction."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from chemtomo.parameters import OfTheData, Parameters, Range, only_for
from chemtomo.recon.filtered_back_projection import Window
from chemtomo.solvers.classical.subsets import Order

__all__ = ["ReconstructParameters"]

_JOINT = only_for(method=("tv", "tgv", "auto"))
_ITERATIVE = only_for(method=("sirt", "sart", "cgls", "mlem", "dart", "tv", "tgv", "auto"))
_SUBSETS = only_for(method=("sirt", "mlem"))
_SWEEPS = only_for(method=("sirt", "sart", "mlem"))
_CLASSICAL = only_for(method=("bp", "fbp", "sirt", "sart", "cgls", "mlem", "dart"))
_DISCRETE = only_for(method="dart")


class ReconstructParameters(Parameters):
    """How tilt series are reconstructed to a volume."""

    method: Literal["bp", "fbp", "sirt", "sart", "cgls", "mlem", "dart", "tv", "tgv", "auto"] = Field(
        "tgv",
        title="Method",
        description="tgv and tv: joint regularised reconstruction; auto: the one of the two that predicts "
        "held-out data better. The others take each channel alone. bp, "
        "fbp: back-projection, plain or filtered. sirt, sart, cgls: least squares, with all tilts at once, "
        "one after the other, or in the fewest iterations. mlem: maximum likelihood of counts. dart: a "
        "specimen of few grey levels.",
    )
    data_term: Annotated[Literal["kl", "l2", "weighted", "auto"], _JOINT] = Field(
        "kl",
        title="Data term",
        description="kl: Kullback-Leibler, for counts (Poisson noise). l2: squares, for noise of the same "
        "size everywhere. weighted: squares over the variance of each pixel, which grows with the signal as "
        "the data say. auto: kl for counts, weighted for intensities.",
    )
    vacuum: Literal["auto", "zero"] = Field(
        "auto",
        title="Vacuum",
        description="auto: find the level of vacuum in every projection of an intensity, which may be "
        "negative, and reconstruct what is above it. zero: take intensities as they are. Counts, and the "
        "paper's normalisation, always begin at zero.",
    )
    coupling: Annotated[Literal["none", "frobenius", "nuclear", "auto"], _JOINT] = Field(
        "frobenius",
        title="Coupling",
        description="frobenius: channels share the places of their edges. nuclear: also their directions. "
        "none: each channel alone. auto: what predicts held-out data better.",
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
    strength: Annotated[
        PositiveFloat | Literal["auto"],
        only_for(method=("tv", "tgv", "auto"), normalisation="counts"),
    ] = Field(
        1.0,
        title="Strength",
        description="Regularisation strength (counts normalisation): larger is smoother. auto: found from "
        "the data, by how well counts or tilts that are held out are predicted.",
    )
    mu: Annotated[dict[str, PositiveFloat] | Literal["auto"], _JOINT] = Field(
        default_factory=dict,
        title="Weights",
        description="Weight of the data of a channel. In the paper's normalisation its mu; "
        "in counts a factor on its statistical weight (1 if not given). auto: a factor for every channel, "
        "found from the data like the strength.",
    )
    alpha0: Annotated[float, only_for(method=("tgv", "auto"))] = Field(
        4.0, gt=0, title="alpha0", description="Weight of the second-order term of TGV."
    )
    alpha1: Annotated[float, _JOINT] = Field(
        1.0, gt=0, title="alpha1", description="Weight of the first-order term of TGV, or of TV."
    )
    slices: Annotated[Range | None, OfTheData()] = Field(
        None, title="Slices", description="Rows y to reconstruct, START:STOP. All if not given."
    )
    crop: Annotated[Literal["auto", "none"] | Range, OfTheData()] = Field(
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
    thickness: Annotated[PositiveFloat | Literal["auto"] | None, OfTheData()] = Field(
        None,
        title="Thickness (nm)",
        description="Depth of a film or lamella along the beam at 0 degrees: the volume is a slab, at the "
        "place where the data have it. auto: found from the data, as it is in a wide field if not given; in "
        "others it is unlimited then.",
    )
    keep_crop: bool = Field(
        False, title="Keep crop", description="Keep the volume cropped instead of padding it back."
    )
    filter: Annotated[Window, only_for(method="fbp")] = Field(
        "ramp",
        title="Filter",
        description="Window on the ramp filter: none (ramp), or one that takes away more noise and more "
        "detail the further down the list it is.",
    )
    nonnegative: Annotated[bool, only_for(method=("bp", "fbp", "sirt", "sart", "cgls", "dart"))] = Field(
        True,
        title="Non-negative",
        description="Keep values at or above zero: in every iteration of sirt, sart and dart, at the end of "
        "bp, fbp and cgls (mlem, tv and tgv always do).",
    )
    minimum: Annotated[float | None, _CLASSICAL] = Field(
        None,
        title="Lowest value",
        description="Lowest value that a voxel may have; of bp, fbp and cgls at the end only.",
    )
    maximum: Annotated[float | None, _CLASSICAL] = Field(
        None,
        title="Highest value",
        description="Highest value that a voxel may have; of bp, fbp and cgls at the end only.",
    )
    relaxation: Annotated[float, only_for(method=("sirt", "sart"))] = Field(
        1.0,
        gt=0,
        lt=2,
        title="Relaxation",
        description="Factor on every correction. Below 1 sart is slower and less noisy.",
    )
    subsets: Annotated[int, _SUBSETS] = Field(
        1,
        ge=1,
        title="Subsets",
        description="Subsets of the tilts that correct the image one after the other in every iteration: as "
        "many times fewer iterations, with more noise.",
    )
    order: Annotated[Order, _SWEEPS] = Field(
        "golden",
        title="Order",
        description="Order of the subsets, or of the tilts of sart, in an iteration. golden: neighbours far "
        "apart. sequential: by angle. random: another one in every iteration.",
    )
    seed: Annotated[int, only_for(method=("sirt", "sart", "mlem", "dart", "tv", "tgv", "auto"))] = Field(
        0,
        ge=0,
        lt=2**31,
        title="Seed",
        description="Of the random order, of the free voxels of dart, and of the data held out where "
        "something is auto.",
    )
    grey_levels: Annotated[tuple[float, ...], _DISCRETE] = Field(
        (),
        title="Grey levels",
        description="Values of the materials with that of the vacuum, for every channel, such as 0,1.5,3. "
        "Estimated if not given.",
    )
    levels: Annotated[int, _DISCRETE] = Field(
        2,
        ge=2,
        le=32,
        title="Levels",
        description="How many grey levels to estimate, with the vacuum, where they are not given.",
    )
    start_iterations: Annotated[int, _DISCRETE] = Field(
        50, ge=1, title="First iterations", description="Iterations of SIRT before the first grey levels."
    )
    inner_iterations: Annotated[int, _DISCRETE] = Field(
        10,
        ge=1,
        title="Inner iterations",
        description="Iterations of SIRT on the free voxels, in every iteration of dart.",
    )
    free_share: Annotated[float, _DISCRETE] = Field(
        0.15,
        ge=0,
        le=1,
        title="Free share",
        description="Share of the voxels away from edges that may change in an iteration of dart.",
    )
    smoothing: Annotated[float, _DISCRETE] = Field(
        0.2,
        ge=0,
        lt=1,
        title="Smoothing",
        description="Share that the mean of its neighbours has in a voxel after an iteration of dart.",
    )
    iterations: Annotated[int, _ITERATIVE] = Field(
        500,
        ge=1,
        le=1_000_000,
        title="Iterations",
        description="Hard limit of iterations. tv and tgv stop by themselves. For the others choose 20 to "
        "100 with sirt and mlem, 5 to 20 with cgls, 2 to 10 with sart or many subsets, 50 to 200 with dart.",
    )
    tolerance: Annotated[float, _JOINT] = Field(
        0.002,
        ge=0,
        lt=1,
        title="Tolerance",
        description="Stop when the relative duality gap of tv or tgv is at most this and the image changes "
        "by less than 3 % while the iterations double. 0: do all iterations.",
    )
    refine_gains: Annotated[bool, _JOINT] = Field(
        False,
        title="Refine gains",
        description="Find the gain of every projection together with the volume, for a detector that was "
        "shadowed or a dose that drifted. The whole sample has to be in the field at every tilt.",
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
        return self.method in ("tv", "tgv", "auto") and self.dims == 3

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value of a voxel, infinite where there is no limit."""
        lowest = -math.inf if self.minimum is None else self.minimum
        highest = math.inf if self.maximum is None else self.maximum
        return max(lowest, 0.0) if self.nonnegative or self.method == "mlem" else lowest, highest

    @model_validator(mode="after")
    def _bounds_rise(self) -> Self:
        lowest, highest = self.bounds
        if not lowest < highest:
            raise ValueError(
                f"minimum and maximum: voxels would have values from {lowest:g} to {highest:g}; expected a "
                "maximum above the minimum, and above 0 with non-negative values"
            )
        return self

    @model_validator(mode="after")
    def _levels_differ(self) -> Self:
        if self.grey_levels and len(set(self.grey_levels)) < max(2, len(self.grey_levels)):
            raise ValueError(
                f"grey_levels: found {', '.join(f'{one:g}' for one in self.grey_levels)}; expected at least "
                "two, all different"
            )
        return self

    @model_validator(mode="after")
    def _auto_has_a_strength(self) -> Self:
        if self.undecided and self.normalisation == "paper":
            raise ValueError(
                f"{self.undecided[0]}: found auto with the paper's normalisation; expected numbers, or the "
                "normalisation by counts"
            )
        return self

    @property
    def undecided(self) -> tuple[str, ...]:
        """The fields with an effect that are to be chosen by the data."""
        fields = ("strength", "mu", "method", "coupling") if self.method in ("tv", "tgv", "auto") else ()
        return tuple(name for name in fields if getattr(self, name) == "auto")
