"""How an alignment is found and carried to other channels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from chemtomo.parameters import OfTheData, Parameters, RecipeOnly, Renamed, only_for

__all__ = ["AlignParameters", "ApplyAlignment", "AxisParameters", "LinkParameters", "UseAlignment"]

_RENAMED = Renamed({"sum-minimum": "sharpness"})
_COARSE = ("phase-correlation", "stackreg", "center-of-mass", "com-common-line", "none")


class AxisParameters(Parameters):
    """How the tilt axis is found."""

    axis: Annotated[Literal["com-path", "max-image", "sharpness"], _RENAMED] = Field(
        "com-path",
        title="Tilt axis",
        description="com-path: from the paths of the mass centres of all slices. max-image: from the lines "
        "that points draw in the maximum over all tilts. sharpness: the offset with the sharpest slices.",
    )


class LinkParameters(Parameters):
    """How an alignment is carried to other channels."""

    residual_shift: bool = Field(
        False,
        title="Shift between detectors",
        description="Also find one shift of a whole channel against the reference, from their sums over all "
        "tilts: for detectors that do not see quite the same field.",
    )


class AlignParameters(LinkParameters):
    """How an alignment is found."""

    reference: str = Field(
        "",
        title="Reference",
        description="Channel on which the alignment is found (a name or a unique prefix), or a sum as in "
        "HAADF+Al, each divided by its mean. If not given: the first structural image, else the brightest.",
    )
    method: Literal[
        "auto",
        "patch-tracks",
        "projection-matching",
        "phase-correlation",
        "stackreg",
        "center-of-mass",
        "com-common-line",
        "none",
    ] = Field(
        "auto",
        title="Method",
        description="auto: what suits the specimen; several estimators, the best by held-out projections. "
        "patch-tracks: follow patches, for films, lamellae and grains that fill the field. "
        "projection-matching: refine what the series has, or else a phase correlation. The others do one "
        "thing. none: keep what the series has, for the tilt axis alone.",
    )
    specimen: Annotated[
        Literal["auto", "isolated", "needle", "film", "lamella"], only_for(method=("auto",))
    ] = Field(
        "auto",
        title="Specimen",
        description="What the specimen looks like. isolated: it ends inside of the field. needle: it crosses "
        "the field along the tilt axis only. film, lamella: wider than the field, grains included. auto: as "
        "the projections look.",
    )
    distortion: Annotated[Literal["off", "auto"], only_for(method=("auto", "patch-tracks"))] = Field(
        "off",
        title="Magnification and rotation",
        description="For specimens that fill the field. auto: find a magnification and a rotation for every "
        "projection, and use them where two halves of the tracks agree about them; errors of the tilts are "
        "reported.",
    )
    axis: Annotated[
        Literal["com-path", "max-image", "sharpness", "none"], _RENAMED, only_for(method=_COARSE)
    ] = Field(
        "com-path",
        title="Tilt axis",
        description="How the tilt axis is found after a registration; auto, patch-tracks and "
        "projection-matching find it themselves. none: leave it.",
    )
    axis_near: Annotated[float | None, OfTheData()] = Field(
        None,
        ge=-180,
        le=180,
        title="Tilt axis near",
        description="About where the tilt axis is, in degrees from y towards x, to within 15: 90 where it "
        "runs along x. If not given: what the file of the reference says, else along y; auto tries both "
        "y and x then. A series that has an alignment begins with the axis of that.",
    )
    reference_tilt: Annotated[
        float | None,
        only_for(method=("phase-correlation", "stackreg", "projection-matching")),
        OfTheData(),
    ] = Field(
        None,
        title="Reference tilt",
        description="Tilt in degrees of the projection that stays where it is (phase-correlation, stackreg). "
        "That nearest to 0 if not given.",
    )
    stretch: Annotated[bool, only_for(method=("phase-correlation", "projection-matching"))] = Field(
        False,
        title="Stretch by cosine",
        description="Stretch the steeper of two projections to compare them (phase-correlation): for flat "
        "samples.",
    )


class UseAlignment(Parameters):
    """An alignment that is known: it was loaded from a file, or made by hand.

    Each is the object that `chemtomo.data.Alignment.to_json` gives; tilts and matrices are what counts.
    """

    alignment: Annotated[dict[str, Any], RecipeOnly()] = Field(
        default_factory=dict,
        title="Alignment",
        description="Carried to every channel by tilts and pixel sizes.",
    )
    alignments: Annotated[dict[str, dict[str, Any]], RecipeOnly()] = Field(
        default_factory=dict,
        title="Alignments",
        description="Those of single channels, in their own tilts and pixels.",
    )


class ApplyAlignment(Parameters):
    """Apply alignments to the values: a reconstruction does so itself."""

    all_shifts: bool = Field(
        False,
        title="All shifts",
        description="Move the pixels along x too, to look at. If not, shifts along x go into the geometry.",
    )
