"""How maps are made from spectra."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chemtomo.parameters import Parameters, RecipeOnly, only_for

__all__ = ["MapParameters", "WindowParameters"]

_X_RAYS = ("auto", "window", "fit")
_COMPONENTS = ("nmf", "pca")
_LINES = (*_X_RAYS, "eels")


class WindowParameters(Parameters):
    """An energy window that was set by hand, see `chemtomo.spectra.EnergyWindow`."""

    name: str
    line: str
    low_keV: float
    high_keV: float
    background: tuple[tuple[float, float], ...] = ()


class MapParameters(Parameters):
    """How maps are made from spectra."""

    method: Literal["auto", "window", "fit", "eels", "nmf", "pca"] = Field(
        "auto",
        title="Method",
        description="window: counts of X-rays in a window, with a straight background between its sides. "
        "fit: overlapping lines are told apart by a fit of the whole spectrum. eels: counts above an edge, "
        "with a power law fitted before it. nmf, pca: components of the spectra. auto: fit where windows "
        "of X-rays overlap or have background on one side only, else window; eels for "
        "energy losses.",
    )
    elements: Annotated[tuple[str, ...], only_for(method=_LINES)] = Field(
        (),
        title="Elements",
        description="Elements to map: Fe, Co, O. Without elements and lines: those that are clearly present.",
    )
    lines: Annotated[tuple[str, ...], only_for(method=_LINES)] = Field(
        (), title="Lines", description="Lines or edges to map: Fe_Ka, Yb_La, or Fe_L3, O_K."
    )
    others: Annotated[tuple[str, ...] | None, only_for(method=_X_RAYS)] = Field(
        None,
        title="Other elements",
        description="Further elements in the spectra that are not mapped, such as the grid's copper. Their "
        "lines are part of the fit, and ranges of background avoid them. If not given: those clearly "
        "present.",
    )
    width: Annotated[float, only_for(method=_X_RAYS)] = Field(
        1.5,
        gt=0.2,
        le=5,
        title="Window (resolutions)",
        description="Width of the window of a line, in units of the detector's resolution at its energy.",
    )
    resolution: Annotated[float, only_for(method=_X_RAYS)] = Field(
        130.0,
        ge=50,
        le=400,
        title="Resolution (eV)",
        description="Resolution of the X-ray detector at Mn Ka, in eV.",
    )
    smoothing: Annotated[float, only_for(method=_LINES)] = Field(
        2.0,
        ge=0,
        le=50,
        title="Smooth background (px)",
        description="Standard deviation, in pixels, by which the background is smoothed in every projection. "
        "The counts are not smoothed.",
    )
    beam_energy: Annotated[float | None, only_for(method="fit")] = Field(
        None,
        gt=1,
        le=3000,
        title="Beam energy (keV)",
        description="Energy of the electrons, for the bremsstrahlung of the fit. That of the file, or else "
        "200 keV.",
    )
    edge_width: Annotated[float, only_for(method=("auto", "eels"))] = Field(
        50.0,
        gt=1,
        le=1000,
        title="Edge window (eV)",
        description="Width of the window above an edge, and of the range before it (eels).",
    )
    components: Annotated[int, only_for(method=_COMPONENTS)] = Field(
        4, ge=1, le=64, title="Components", description="Number of components (nmf, pca)."
    )
    low_kev: Annotated[float | None, only_for(method=_COMPONENTS)] = Field(
        None, title="From (keV)", description="Lowest energy that is used (nmf, pca)."
    )
    high_kev: Annotated[float | None, only_for(method=_COMPONENTS)] = Field(
        None, title="To (keV)", description="Highest energy that is used (nmf, pca)."
    )
    seed: Annotated[int, only_for(method=_COMPONENTS)] = Field(
        0, ge=0, title="Seed", description="Seed of the random choices (nmf, pca)."
    )
    subtract: Annotated[bool, only_for(method=_LINES)] = Field(
        False,
        title="Subtract background",
        description="Give counts minus background. It can be negative and is not Poisson distributed: "
        "for viewing, not for a reconstruction with Poisson noise.",
    )
    windows: Annotated[tuple[WindowParameters, ...], RecipeOnly()] = Field(
        (),
        title="Windows",
        description="Energy windows set by hand, in place of elements and lines.",
    )
