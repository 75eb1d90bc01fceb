"""How far to trust a result: residuals, the resolution of independent halves, and what noise does to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Any, Literal

import numpy as np

from chemtomo.data import Dataset, Volume
from chemtomo.errors import ParameterError
from chemtomo.pipeline.jobs.reconstruct import measured
from chemtomo.pipeline.recipes.inputs import read_inputs_job
from chemtomo.pipeline.recipes.recipe import Recipe
from chemtomo.pipeline.runner import Store, run_steps_job
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.recon.reconstruction import frame_of, reconstruct
from chemtomo.solvers import Limits
from chemtomo.trust.parameters import TrustParameters
from chemtomo.trust.residuals import Residuals, coupling_warning, residuals
from chemtomo.trust.resolution import Direction, ShellCorrelation, shell_correlation, soft_mask
from chemtomo.trust.thinning import can_be_split, halves_of_tilts, split_counts
from chemtomo.trust.uncertainty import Uncertainty, uncertainty_job

__all__ = ["Trust", "halves", "trust_job"]

_DIRECTIONS: tuple[Direction, ...] = ("all", "beam", "across", "axis")


@dataclasses.dataclass(frozen=True, eq=False)
class Trust:
    """What was found out about a result.

    Attributes
    ----------
    residuals : tuple of Residuals
        One a signal.
    alone : tuple of Residuals
        The same without coupling; none where that was not asked for.
    resolution : dict
        For every signal the `ShellCorrelation` of each direction.
    uncertainty : Uncertainty, optional
        Mean, standard deviation and bias.
    warnings : tuple of str
        What to look at.
    """

    residuals: tuple[Residuals, ...]
    alone: tuple[Residuals, ...]
    resolution: dict[str, tuple[ShellCorrelation, ...]]
    uncertainty: Uncertainty | None
    warnings: tuple[str, ...]

    def report(self) -> dict[str, Any]:
        """Return the numbers, ready to be written as JSON."""
        signals: dict[str, Any] = {}
        alone = {one.name: one.mean_chi_squared for one in self.alone}
        for one in self.residuals:
            signals[one.name] = {
                "chi_squared": one.mean_chi_squared,
                "chi_squared_without_coupling": alone.get(one.name),
                "noise": one.noise,
                "bad_tilts_deg": list(one.bad_tilts_deg),
                "tilts": [
                    {"tilt_deg": float(tilt), "chi_squared": None if np.isnan(value) else float(value)}
                    for tilt, value in zip(one.tilts_deg, one.chi_squared, strict=True)
                ],
                "resolution": [
                    {
                        "direction": found.direction,
                        "resolution_nm": found.resolution_nm,
                        "reached": found.reached,
                        "criterion": found.criterion,
                    }
                    for found in self.resolution.get(one.name, ())
                ],
            }
            if self.uncertainty is not None:
                deviation = self.uncertainty.deviation[one.name]
                volume = self.uncertainty.volume[one.name]
                signals[one.name]["relative_deviation"] = float(
                    np.sqrt((deviation.astype(np.float64) ** 2).sum())
                    / max(float(np.linalg.norm(volume.astype(np.float64))), 1e-30)
                )
        return {"signals": signals, "warnings": list(self.warnings)}


def trust_job(
    recipe: Recipe,
    volume: Volume,
    parameters: TrustParameters,
    *,
    should_stop: Callable[[], bool] | None = None,
    store: Store | None = None,
    accept_changed: bool = False,
) -> Generator[Any, None, Trust]:
    """Read the inputs of a result again, and compare it with them.

    Parameters
    ----------
    recipe : Recipe
        Of the result; its last step is the reconstruction.
    volume : Volume
        The result.
    parameters : TrustParameters
        What to find out.
    should_stop : callable, optional
        ``True`` ends a reconstruction with its iterate.
    store : Store, optional
        Where results of earlier steps are kept.
    accept_changed : bool
        Go on where inputs are not those with which the result was made.

    Raises
    ------
    ParameterError
        When the last step is no reconstruction, or it was a preview.
    ChemTomoError
        When inputs cannot be read, or a reconstruction fails.
    """
    last = recipe.steps[-1].parameters if recipe.steps else None
    if not isinstance(last, ReconstructParameters):
        raise ParameterError("trust: found a result whose last step is no reconstruction; expected a volume")
    if last.preview:
        raise ParameterError("trust: found a preview; expected a reconstruction at full resolution")
    state = yield from read_inputs_job(recipe, accept_changed=accept_changed)
    state = yield from run_steps_job(state, recipe.steps[:-1], should_stop=should_stop, store=store)
    dataset, _ = measured(state.require_series("trust"), last)
    if volume.names != dataset.names:
        raise ParameterError(
            f"trust: found a volume of {', '.join(volume.names)}; expected {', '.join(dataset.names)}, the "
            "signals of its recipe"
        )
    frame = frame_of(dataset, last)
    compared = residuals(frame, volume)
    warnings = [
        f"{one.name}: the projections at {', '.join(f'{tilt:g}' for tilt in one.bad_tilts_deg)} degrees "
        "agree with the volume much less than the others do"
        for one in compared
        if one.bad_tilts_deg
    ]
    alone: tuple[Residuals, ...] = ()
    coupled = last.method in ("tv", "tgv") and last.coupling != "none" and len(dataset) > 1
    if parameters.without_coupling and coupled:
        apart = last.model_copy(update={"coupling": "none"})
        made = yield from reconstruct(dataset, apart, _limits(apart), should_stop, frame=frame)
        alone = residuals(frame, made.volume)
        pairs = zip(compared, alone, strict=True)
        warnings += [text for text in (coupling_warning(one, two) for one, two in pairs) if text is not None]
    resolution: dict[str, tuple[ShellCorrelation, ...]] = {}
    if parameters.halves != "none":
        pair = []
        for half in halves(dataset, parameters.halves, parameters.seed):
            made = yield from reconstruct(half, last, _limits(last), should_stop)
            pair.append(made.volume)
        resolution = _resolution(pair[0], pair[1], parameters)
    found: Uncertainty | None = None
    if parameters.uncertainty:
        found = yield from uncertainty_job(
            dataset, last, parameters.uncertainty, seed=parameters.seed, should_stop=should_stop
        )
    return Trust(compared, alone, resolution, found, tuple(warnings))


def halves(dataset: Dataset, way: Literal["counts", "tilts"], seed: int = 0) -> tuple[Dataset, Dataset]:
    """Divide data into two independent halves.

    Parameters
    ----------
    dataset : Dataset
        The data. They are not modified.
    way : {"counts", "tilts"}
        Counts by chance where a signal holds them as recorded, and other signals by tilts; or all by tilts.
    seed : int
        Of chance.
    """
    first, second = halves_of_tilts(dataset)
    if way == "tilts":
        return first, second
    pairs = [
        split_counts(one, (0.5, 0.5), seed) if can_be_split(one) else (first[one.name], second[one.name])
        for one in dataset
    ]
    return Dataset(tuple(one for one, _ in pairs)), Dataset(tuple(two for _, two in pairs))


def _limits(settings: ReconstructParameters) -> Limits:
    return Limits(settings.iterations, settings.report_every, settings.tolerance or None)


def _resolution(
    first: Volume, second: Volume, parameters: TrustParameters
) -> dict[str, tuple[ShellCorrelation, ...]]:
    found = {}
    for name in first.names:
        one, two = first[name], second[name]
        if not one.any() or not two.any():
            continue
        mask = soft_mask(np.asarray((one + two) / 2, np.float32))
        found[name] = tuple(
            shell_correlation(
                one,
                two,
                first.voxel_size_nm,
                mask=mask,
                direction=direction,
                criterion=parameters.criterion,
                seed=parameters.seed,
            )
            for direction in _DIRECTIONS
        )
    return found
