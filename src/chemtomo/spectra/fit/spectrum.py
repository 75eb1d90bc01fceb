"""Fit the lines of elements and a background to a spectrum with many counts."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ParameterError
from chemtomo.spectra.fit.background import LOWEST_KEV, background_shapes, sum_peaks
from chemtomo.spectra.fit.model import SpectrumModel
from chemtomo.spectra.fit.response import Response, lines_shape, tail_shapes
from chemtomo.spectra.lines import line_groups, lines_of

__all__ = ["fit_spectrum", "has_photons", "non_negative", "poisson_weights"]

_SHELLS = ("K", "L", "M")
_DARK_L_SHELLS = ("K", "Ca", "Sc")
_EFFECTS = ("tails", "pairs")
# A shell is fitted when at least this fraction of its photons is in the range.
_LEAST_SHARE = 0.3
# Error of the tabulated and fitted line shapes, as a fraction of their height in a channel.
_LINE_ERROR = 0.02
# How far the groups of a shell may depart from their tabulated proportions (standard deviations).
_PROPORTIONS = {"K": 0.1, "L": 0.3, "M": 1.0}
# Tables differ by so much in the energies of M lines (3 eV for Pt Ma, 2 eV for Pt Mg, 10 eV for Pt Mz).
_M_ENERGY_ERROR_KEV = 0.002
# Prior standard deviations of the calibration: offset, gain, shift at small energies, squared width, its
# growth.
_CALIBRATION = np.array([0.015, 0.002, 0.02, 0.002, 0.0003])
_AXIS = 2
_ROUNDS, _UNCHANGED = 4, 1e-4
_CALIBRATING_ROUNDS = 10
_SETTLED = 0.02
# An effect of the detector is kept when it lowers chi squared by this many times chi squared per channel.
_BELIEVED = 20.0


def fit_spectrum(
    spectrum: npt.NDArray[np.float64],
    energies_keV: npt.NDArray[np.float64],
    elements: Iterable[str],
    *,
    at_manganese_eV: float = 130.0,
    beam_energy_keV: float = 200.0,
    range_keV: tuple[float, float] | None = None,
    response: Response | None = None,
    effects: bool = True,
    axis_only: bool = False,
) -> SpectrumModel:
    """Fit the lines of some elements and a background to a spectrum with many counts.

    Non-negative least squares, reweighted a few times by the previous fit. The lines of a shell keep their
    tabulated proportions within each `chemtomo.spectra.LineGroup`; the proportions of the groups may deviate
    as far as the tables are uncertain. Offset, gain and resolution of the detector are fitted together with
    the lines, as far as the strong ones determine them; low-energy tails of the lines and sum peaks are
    fitted where they improve the fit. In the result a shell is one component in the proportions found, with
    its escape peaks and tails; background and sum peaks together are another one.

    Parameters
    ----------
    spectrum : numpy.ndarray, shape (energy,)
        Counts, usually the sum over all pixels and tilts.
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of evenly spaced channels.
    elements : iterable of str
        All elements with lines in the range.
    at_manganese_eV : float
        See `chemtomo.spectra.resolution_keV`; where the search for the resolution starts.
    beam_energy_keV : float
        Energy of the electrons.
    range_keV : (float, float), optional
        Range that is fitted. From 0.17 keV, above the noise peak at zero, to the end by default.
    response : Response, optional
        Calibration and resolution, if they are known; they are not fitted then.
    effects : bool
        Whether tails of lines and sum peaks are fitted.
    axis_only : bool
        Whether only offset and gain are fitted: for when few of the elements are known.

    Returns
    -------
    SpectrumModel
        With all shells of which at least 30 % of the photons are in the range.

    Raises
    ------
    ParameterError
        When the range holds too few channels, an element is unknown, or has no lines in the range.
    """
    low, high = range_keV or (LOWEST_KEV, np.inf)
    start, stop = np.searchsorted(energies_keV, [max(low, LOWEST_KEV), high])
    if stop - start < 10:
        raise ParameterError(
            f"fit: found {stop - start} channels between {low:g} and {high:g} keV; expected 10 at least"
        )
    fit = _Fit(
        np.asarray(spectrum, np.float64),
        energies_keV,
        slice(int(start), int(stop)),
        tuple(dict.fromkeys(elements)),
        beam_energy_keV,
    )
    if response is None:
        response = Response(at_manganese_eV=at_manganese_eV)
        if fit.counts.any():
            response = fit.calibrated(response, _AXIS if axis_only else len(_CALIBRATION))
    return fit.model(response, _EFFECTS if effects else ())


def has_photons(element: str, shell: str) -> bool:
    """Tell whether a shell emits enough photons to be fitted.

    The fluorescence yield of the L shells of potassium, calcium and scandium is below 0.0005: about a
    hundredth of their K photons, at energies where a free shape would take the counts of carbon and nitrogen.
    """
    return not (shell == "L" and element in _DARK_L_SHELLS)


def poisson_weights(
    model: npt.NDArray[np.float64], lines: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the inverse variance of channels with expected counts `model`, of which `lines` are in lines."""
    least = max(1e-3 * float(model.mean()), 1e-12)
    weights: npt.NDArray[np.float64] = 1 / (np.maximum(model, least) + (_LINE_ERROR * lines) ** 2)
    return weights


def non_negative(normal: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Minimise ``a normal a / 2 - right a`` over ``a >= 0``, for a matrix that may be singular."""
    from scipy.optimize import nnls

    scale = np.sqrt(np.diag(normal))
    scale[scale == 0] = 1.0
    values, vectors = np.linalg.eigh(normal / np.outer(scale, scale))
    root = np.sqrt(np.maximum(values, max(1e-12 * values.max(), 1e-300)))
    found, _ = nnls((vectors * root).T, (vectors.T @ (right / scale)) / root, maxiter=100 * len(right))
    return np.asarray(found / scale, np.float64)


@dataclasses.dataclass(frozen=True)
class _Lines:
    """The shapes of the groups of lines of all fitted shells."""

    shells: tuple[str, ...]
    """Name of a shell, such as ``"Fe_K"``."""
    shell_of: npt.NDArray[np.intp]
    """Which shell a group belongs to."""
    shares: npt.NDArray[np.float64]
    """Tabulated share of a group in the photons of its shell."""
    shapes: npt.NDArray[np.float64]
    """Shape ``(group, energy)``: the counts of one photon of the shell, if the group had all of them."""

    def photons(self, amplitudes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the photons of every shell."""
        found = np.zeros(len(self.shells))
        np.add.at(found, self.shell_of, amplitudes * self.shares)
        return found

    def penalty(self, amplitudes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the quadratic form that keeps groups near their tabulated proportions."""
        form = np.zeros((len(self.shares), len(self.shares)))
        for shell, name in enumerate(self.shells):
            mine = np.flatnonzero(self.shell_of == shell)
            if len(mine) > 1:
                shares = self.shares[mine] / self.shares[mine].sum()
                differences = np.eye(len(mine)) - shares
                # Relative to the strongest group: weak lines do not determine the amount.
                main = mine[np.argmax(self.shares[mine])]
                spread = _PROPORTIONS[name[-1]] * max(amplitudes[main], 1.0)
                form[np.ix_(mine, mine)] += differences.T @ differences / spread**2
        return form


@functools.lru_cache(maxsize=1024)
def _group_shapes(
    element: str, shell: str, response: Response, axis: tuple[float, float, int]
) -> tuple[npt.NDArray[np.float64], ...]:
    """Return the shapes of the groups of a shell on an axis of first energy, step and number of channels."""
    first, step, count = axis
    energies = np.asarray(first + step * np.arange(count), np.float64)
    return tuple(
        lines_shape([(energy, share) for _, energy, share in group.members], energies, response)
        for group in line_groups(element, shell)
    )


class _Fit:
    """The fit of one spectrum, for any calibration."""

    def __init__(
        self,
        counts: npt.NDArray[np.float64],
        energies_keV: npt.NDArray[np.float64],
        fitted: slice,
        elements: tuple[str, ...],
        beam_energy_keV: float,
    ) -> None:
        self.counts, self.energies, self.fitted, self.elements = counts, energies_keV, fitted, elements
        self.axis = (float(energies_keV[0]), float(energies_keV[1] - energies_keV[0]), len(energies_keV))
        self.background = background_shapes(energies_keV, beam_energy_keV)
        smooth = np.convolve(np.maximum(counts, 0), np.ones(5) / 5, "same")
        self.first_weights = poisson_weights(smooth[fitted], 0 * smooth[fitted])

    def lines(self, response: Response) -> _Lines:
        """Return the shapes of all groups of lines."""
        shells: list[str] = []
        shell_of: list[int] = []
        shares: list[float] = []
        shapes: list[npt.NDArray[np.float64]] = []
        for element in self.elements:
            lines_of(element)  # raises when there is no such element
            before = len(shells)
            for shell in _SHELLS:
                if not has_photons(element, shell):
                    continue
                groups = line_groups(element, shell)
                made = _group_shapes(element, shell, response, self.axis)
                if sum(one[self.fitted].sum() for one in made) < _LEAST_SHARE:
                    continue
                for group, one in zip(groups, made, strict=True):
                    if one[self.fitted].sum() >= 0.02 * group.share:
                        shell_of.append(len(shells))
                        shares.append(group.share)
                        shapes.append(one)
                shells.append(f"{element}_{shell}")
            if len(shells) == before:
                raise ParameterError(
                    f"element {element!r}: found none of its lines between "
                    f"{self.energies[self.fitted.start]:.3f} and "
                    f"{self.energies[self.fitted.stop - 1]:.3f} keV"
                )
        if not shells:
            raise ParameterError("found no element to fit; expected at least one")
        return _Lines(tuple(shells), np.array(shell_of), np.array(shares), np.array(shapes))

    def calibrated(self, response: Response, free: int) -> Response:
        """Return the calibration with which the lines fit best; the first `free` parameters are fitted.

        Gauss-Newton steps: changes of the calibration are further components of the linear fit. The prior
        keeps the calibration of a spectrum with few counts.
        """
        before = response.values()
        found: _Solution | None = None
        for _ in range(_CALIBRATING_ROUNDS):
            found = self.solved(self.lines(response), found)
            changes = response.derivatives(found.lines_spectrum, self.energies)[:free]
            used = np.vstack([found.shapes[found.amplitudes > 0], changes])[:, self.fitted]
            normal = (used * found.weights) @ used.T
            right = (used * found.weights) @ (self.counts - found.total)[self.fitted]
            mine = slice(-len(changes), None)
            known = max(1.0, found.misfit) / _CALIBRATION[:free] ** 2
            normal[mine, mine] += np.diag(known)
            right[mine] -= known * (response.values() - before)[:free]
            scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
            step = np.linalg.lstsq(normal / np.outer(scale, scale), right / scale, rcond=1e-12)[0] / scale
            moved = np.zeros(len(_CALIBRATION))
            moved[:free] = np.clip(step[mine], -_CALIBRATION[:free], _CALIBRATION[:free])
            response = Response.of(
                np.clip(response.values() + moved, before - 4 * _CALIBRATION, before + 4 * _CALIBRATION)
            )
            if np.abs(moved / _CALIBRATION).max() < _SETTLED:
                break
        return response

    def solved(
        self, lines: _Lines, before: _Solution | None, effects: tuple[str, ...] = _EFFECTS
    ) -> _Solution:
        """Fit once, with weights, proportions and detector effects from the previous fit."""
        made = [lines.shapes, self.background]
        count = len(lines.shares)
        kinds = ["line"] * count + ["background"] * len(self.background)
        penalty = np.zeros((count, count))
        weights = self.first_weights
        if before is not None:
            if "tails" in effects:
                tails = tail_shapes(before.lines_spectrum, self.energies)
                made.append(tails)
                kinds += ["tails"] * len(tails)
            if "pairs" in effects:
                made.append(sum_peaks(before.total, self.energies)[np.newaxis])
                kinds.append("pairs")
            penalty = lines.penalty(before.amplitudes[:count])
            tailed = before.total - before.without_lines
            weights = poisson_weights(before.total[self.fitted], tailed[self.fitted])
        shapes = np.vstack(made)
        used = shapes[:, self.fitted]
        normal = (used * weights) @ used.T
        right = (used * weights) @ self.counts[self.fitted]
        normal[:count, :count] += penalty
        amplitudes = non_negative(normal, right)
        difference = (self.counts - amplitudes @ shapes)[self.fitted]
        return _Solution(
            np.array(kinds), shapes, amplitudes, weights, penalty, float(weights @ difference**2)
        )

    def iterated(self, lines: _Lines, effects: tuple[str, ...] = _EFFECTS) -> _Solution:
        """Fit until weights and proportions are consistent with the fit."""
        found = self.solved(lines, None, effects)
        for _ in range(_ROUNDS):
            before, found = found, self.solved(lines, found, effects)
            if abs(found.chi_squared - before.chi_squared) < _UNCHANGED * found.chi_squared:
                break
        return found

    def _shifting(self, lines: _Lines, amplitudes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return how the spectrum changes when a group of M lines is off by what tables differ by."""
        uncertain = [lines.shells[shell].endswith("_M") for shell in lines.shell_of]
        spectra = amplitudes[uncertain, np.newaxis] * lines.shapes[uncertain]
        return np.asarray(_M_ENERGY_ERROR_KEV * np.gradient(spectra, self.energies, axis=1))

    def model(self, response: Response, effects: tuple[str, ...]) -> SpectrumModel:
        """Return the fit for a calibration, with one component per shell."""
        lines = self.lines(response)
        found = self.iterated(lines, effects)
        # The fit is better determined without an effect that improves it little.
        least = found.chi_squared + _BELIEVED * max(1.0, found.misfit)
        needed = tuple(effect for effect in effects if found.chi_squared_without(effect, self) > least)
        if needed != effects:
            found = self.iterated(lines, needed)
        amplitudes = found.amplitudes[found.kinds == "line"]
        photons = lines.photons(amplitudes)
        of_photons = np.zeros((len(lines.shells), len(found.amplitudes)))
        of_photons[lines.shell_of, np.arange(len(lines.shares))] = lines.shares
        deviations = found.deviations(of_photons, self._shifting(lines, amplitudes), self.fitted)
        mean = photons / lines.photons(np.ones(len(lines.shares)))
        departures = np.where(
            mean[lines.shell_of] > 0, amplitudes / np.maximum(mean, 1e-300)[lines.shell_of], 1
        )
        shapes = np.zeros((len(lines.shells), len(self.energies)))
        np.add.at(shapes, lines.shell_of, departures[:, np.newaxis] * lines.shapes)
        if "tails" in needed:
            shares = found.amplitudes[found.kinds == "tails"]
            before = shapes.sum(axis=1)
            shapes += np.tensordot(shares, tail_shapes(shapes, self.energies), axes=1)
            more = shapes.sum(axis=1) / before
            shapes /= more[:, np.newaxis]
            photons = photons * more
            deviations = deviations * more
        rest = found.without_lines
        counted = rest[self.fitted].sum()
        rest = rest / counted if counted > 0 else self.background[0]
        return SpectrumModel(
            self.energies,
            self.fitted,
            (*lines.shells, "background"),
            np.vstack([shapes, rest]),
            np.append(photons, counted),
            response,
            found.weights,
            found.misfit,
            np.append(deviations, np.nan),
        )


@dataclasses.dataclass(frozen=True)
class _Solution:
    """A linear fit: its shapes, their amplitudes, and chi squared."""

    kinds: npt.NDArray[np.str_]
    """``"line"``, ``"background"``, ``"tails"`` or ``"pairs"`` for every shape."""
    shapes: npt.NDArray[np.float64]
    amplitudes: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    penalty: npt.NDArray[np.float64]
    """Penalty of the proportions of the lines, which are the first shapes."""
    chi_squared: float

    @property
    def misfit(self) -> float:
        """Chi squared per degree of freedom."""
        return self.chi_squared / max(1, len(self.weights) - int((self.amplitudes > 0).sum()))

    @property
    def total(self) -> npt.NDArray[np.float64]:
        """The spectrum that was fitted."""
        found: npt.NDArray[np.float64] = self.amplitudes @ self.shapes
        return found

    @property
    def lines_spectrum(self) -> npt.NDArray[np.float64]:
        """The lines alone, without their tails."""
        return self._part("line")

    @property
    def without_lines(self) -> npt.NDArray[np.float64]:
        """Background and sum peaks."""
        return self._part("background") + self._part("pairs")

    def deviations(
        self, sums: npt.NDArray[np.float64], shifting: npt.NDArray[np.float64], fitted: slice
    ) -> npt.NDArray[np.float64]:
        """Return the standard deviations of sums of the amplitudes, all that is not known being free too.

        Scaled by what the fit does not explain. Shapes other than lines that are at zero stay there.

        Parameters
        ----------
        sums : numpy.ndarray, shape (sum, shape)
            What is summed.
        shifting : numpy.ndarray, shape (change, energy)
            Changes of the spectrum by as much as the energies of lines are uncertain.
        fitted : slice
            The channels that were fitted.
        """
        free = (self.kinds == "line") | (self.amplitudes > 0)
        used = np.vstack([self.shapes, shifting])[:, fitted]
        normal = (used * self.weights) @ used.T
        lines, moved = len(self.penalty), len(self.shapes)
        normal[:lines, :lines] += self.penalty
        unexplained = max(1.0, self.misfit)
        normal[moved:, moved:] += unexplained * np.eye(len(shifting))
        chosen = np.append(free, np.ones(len(shifting), np.bool_))
        normal = normal[np.ix_(chosen, chosen)]
        scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
        covariance = np.linalg.pinv(normal / np.outer(scale, scale), rcond=1e-12, hermitian=True)
        own = np.hstack([sums, np.zeros((len(sums), len(shifting)))])[:, chosen] / scale
        variances = np.einsum("si,ij,sj->s", own, covariance, own)
        return np.asarray(np.sqrt(np.maximum(variances, 0) * unexplained))

    def _part(self, kind: str) -> npt.NDArray[np.float64]:
        mine = self.kinds == kind
        found: npt.NDArray[np.float64] = self.amplitudes[mine] @ self.shapes[mine]
        return found

    def chi_squared_without(self, kind: str, fit: _Fit) -> float:
        """Return chi squared of the best fit without shapes of a kind, with the same weights."""
        used = self.shapes[self.kinds != kind][:, fit.fitted]
        counts = fit.counts[fit.fitted]
        normal = (used * self.weights) @ used.T
        normal[: len(self.penalty), : len(self.penalty)] += self.penalty
        amplitudes = non_negative(normal, (used * self.weights) @ counts)
        return float(self.weights @ (counts - amplitudes @ used) ** 2)
