"""The search for the elements whose lines explain a spectrum, one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ParameterError
from chemtomo.spectra.fit import (
    LOWEST_KEV,
    Response,
    SpectrumModel,
    background_shapes,
    fit_spectrum,
    has_photons,
    lines_shape,
    non_negative,
    peak_deviations,
    poisson_weights,
)
from chemtomo.spectra.lines import XrayLine, elements_between, lines_of, shell_members
from chemtomo.spectra.suggestion import Suggestion, cautions_of
from chemtomo.spectra.windows import line_window, resolution_keV

__all__ = ["LineSearch"]

_ELEMENTS = ("B", "U")
_SIGNIFICANT, _SEEN = 5.0, 3.0
# The fitted lines of other elements may be wrong by this fraction of their counts.
_LINE_ERROR = 0.03
# The inner shell of an element emits at least this fraction of the photons of the next one, if its lines
# are below this energy. In thin samples it emits a few times more.
_INNER_SHARE = 0.03
_INNER_KEV = 18.0
# At this beam energy and above an inner shell emits at least this fraction of the photons of the next one.
_TRANSMISSION_KEV, _OUTER_SHARE = 60.0, 0.15
# A spectrum with few counts does not show that its axis is off: it is calibrated with all its elements.
_MISFIT_TO_CALIBRATE = 30.0
# Numbers of accepted elements from which on the energy axis is calibrated, and the resolution too, and up to
# which the calibration is repeated.
_CALIBRATE_FROM, _CALIBRATE_WHOLLY_FROM, _CALIBRATE_UP_TO = 3, 10, 10
# Up to zinc the L lines are soft, and the K lines give more photons.
_SOFT_KEV, _SOFT_INNER_SHARE = 1.1, 0.3
# A line with a smaller share of the photons of its shell is too weak to identify an element.
_MAIN_SHARE = 0.15
_MEMBER_SHARE = 0.1
# K lines count without a peak of their own when they are this significant, in standard deviations.
_OBVIOUS = 15.0
# Number of candidates that are compared with all proportions free.
_REFINED = 5
# Another element explains a peak as well when it improves the fit by this fraction of the best improvement.
_AS_WELL = 0.8
_LOST = 0.3
_OVERLAPPED = 0.2


class LineSearch:
    """The elements accepted so far, and the residual of the fit of their lines.

    Parameters
    ----------
    counts : numpy.ndarray, shape (energy,)
        The spectrum.
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of its channels.
    listed : sequence of str
        Elements that are accepted from the beginning, if their lines are within the spectrum.
    at_manganese_eV, beam_energy_keV : float
        Resolution of the detector and energy of the electrons.
    """

    def __init__(
        self,
        counts: npt.NDArray[np.float64],
        energies_keV: npt.NDArray[np.float64],
        listed: Sequence[str],
        at_manganese_eV: float,
        beam_energy_keV: float,
    ) -> None:
        self.counts, self.energies = counts, energies_keV
        self.at_manganese_eV, self.beam = at_manganese_eV, beam_energy_keV
        self.background = background_shapes(energies_keV, beam_energy_keV)
        self.listed = tuple(one for one in dict.fromkeys(listed) if self._is_known(one))
        self.accepted: dict[str, tuple[str, ...]] = dict.fromkeys(self.listed, ())
        """The accepted elements, each with those that would explain its peaks as well."""
        self._gained: dict[str, float] = {}
        self._latest: str | None = None
        self._left_out: set[str] = set()
        # Without a list the nominal calibration is kept until there are elements to calibrate with: a wrong
        # calibration can make a wrong element fit.
        self.calibrated = bool(self.listed)
        self._few = not self.listed
        self.model = self._fit(self.listed)

    def accept_next(self) -> bool:
        """Accept the element that improves the fit most, if there is one."""
        gains = self._gains()
        if self._latest is not None:
            # An element whose improvement vanished with this one accepted would explain the same peaks.
            best, before = self._latest, self._gained
            self.accepted[best] = tuple(
                sorted(
                    (
                        one
                        for one in before
                        if one not in self.accepted
                        and before[one] > _AS_WELL * before[best]
                        and gains.get(one, 0.0) < _LOST * before[one]
                    ),
                    key=lambda one: -before[one],
                )
            )
        best = max(gains, key=lambda element: gains[element], default="")
        if not best or gains[best] < _SIGNIFICANT**2:
            self._latest = None
            return False
        best = self._simplest(best, gains)
        self._gained, self._latest = gains, best
        self.accepted[best] = ()
        early = _CALIBRATE_FROM <= len(self.accepted) <= _CALIBRATE_UP_TO and not self.listed
        calibrates = early and self.model is not None and self.model.misfit > _MISFIT_TO_CALIBRATE
        self.calibrated = self.calibrated or calibrates
        response = None if self.model is None or calibrates else self.model.response
        self.model = self._fit(tuple(self.accepted), response)
        return True

    def calibrate(self) -> None:
        """Fit calibration and effects of the detector with all accepted elements."""
        self.calibrated, self._few = True, False
        self.model = self._fit(tuple(self.accepted))
        if not self.listed:
            self._exchange()

    def _exchange(self) -> None:
        """Replace heavy elements by light ones that explain their peaks as well after the calibration."""
        for heavy in [one for one in self.accepted if not self._is_light(one)]:
            mains = [line for line in self._lines(heavy) if line.weight >= _MAIN_SHARE]
            for light in elements_between(*_ELEMENTS):
                if light in self.accepted or heavy not in self.accepted or not self._near(light, mains):
                    continue
                elements = tuple(light if one == heavy else one for one in self.accepted)
                assert self.model is not None
                swapped = self._fit(elements, self.model.response)
                allowed = _SIGNIFICANT**2 * max(1.0, self.model.misfit)
                if self._chi_squared(swapped) < self._chi_squared(self.model) + allowed:
                    self.accepted = {one: self.accepted.get(one, ()) for one in elements}
                    self.model = swapped

    def remove_needless(self) -> None:
        """Remove elements without which the fit is as good, except those that are listed."""
        while True:
            needs = {
                element: self.need_of(element) for element in self.accepted if element not in self.listed
            }
            weakest = min(needs, key=lambda element: needs[element], default="")
            if not weakest or needs[weakest] >= _SIGNIFICANT:
                return
            del self.accepted[weakest]
            self.model = self._fit(tuple(self.accepted))

    def need_of(self, element: str) -> float:
        """Return by how many standard deviations the fit is worse without an element.

        For an element that is not listed it is at most the significance of its own peak in that residual.
        """
        others = tuple(one for one in self.accepted if one != element)
        assert self.model is not None
        without = self._fit(others, self.model.response)
        misfit = max(1.0, self.model.misfit)
        gain = self._chi_squared(without) - self._chi_squared(self.model)
        need = float(np.sqrt(max(gain, 0.0) / misfit))
        if element in self.listed or (self._is_light(element) and need >= _OBVIOUS):
            return need
        return min(need, self._own_peak(element, without))

    def describe(self, element: str) -> Suggestion:
        """Describe an accepted element: evidence and cautions."""
        model = self.model
        assert model is not None
        own = model.part(element)
        rest = model.total - own
        lines_beside = rest - model.part("background")
        best: tuple[float, XrayLine, float, float] | None = None
        seen = []
        for line in self._lines(element):
            start, stop = self._window(line)
            mine, others = own[start:stop].sum(), rest[start:stop].sum()
            noise = np.sqrt(max(mine + others, 1.0) + (_LINE_ERROR * lines_beside[start:stop].sum()) ** 2)
            significance = float(mine / noise)
            if significance >= 3:
                seen.append(f"{line.label} {line.energy_keV:.3f} keV")
            # The inner shell is preferred even with fewer counts: its lines are further from others.
            inner = best is not None and best[1].shell != line.shell and best[0] >= 2 * _SIGNIFICANT
            if line.label.endswith("a") and not inner and (best is None or significance > best[0]):
                best = (significance, line, float(mine), float(others))
        listed = (element in self.listed) if self.listed else None
        if best is None:
            line = self._lines(element)[0]
            return Suggestion(element, line.name, line.energy_keV, 0.0, 0.0, (), listed=listed)
        significance, line, mine_counts, other_counts = best
        significance = min(significance, self.need_of(element))
        cautions = list(cautions_of(element, tuple(self.accepted)))
        if self.accepted[element]:
            cautions.append(f"{', '.join(self.accepted[element][:3])} would explain the same peaks as well")
        crowd = self._neighbours(line)
        if crowd:
            cautions.append(f"overlaps with {', '.join(crowd)}: use the fit")
        elif other_counts > 3 * mine_counts:
            cautions.append("weak compared with a high background")
        reasons = ["the file lists it"] if listed else []
        if seen:
            reasons.append("explains " + ", ".join(seen))
        return Suggestion(
            element,
            line.name,
            line.energy_keV,
            mine_counts,
            significance,
            tuple(reasons),
            tuple(cautions),
            listed=listed,
        )

    def _simplest(self, best: str, gains: dict[str, float]) -> str:
        """Return an element whose K lines explain the peaks of the best one as well, or the best one.

        Light elements are more common than the heavy ones whose outer lines have the same energy.
        """
        mains = [line for line in self._lines(best) if line.weight >= _MAIN_SHARE]
        for element in sorted(gains, key=lambda one: -gains[one]):
            if gains[element] >= _AS_WELL * gains[best] and self._near(element, mains):
                return element
        return best

    def _near(self, light: str, mains: Sequence[XrayLine]) -> bool:
        """Tell whether K alpha of an element is within one resolution of some lines."""
        alphas = [line for line in self._lines(light) if line.label == "Ka"]
        return any(
            abs(alpha.energy_keV - line.energy_keV) < resolution_keV(line.energy_keV)
            for alpha in alphas
            for line in mains
        )

    def _fit(self, elements: Sequence[str], response: Response | None = None) -> SpectrumModel | None:
        """Fit some elements; None for none."""
        if not elements:
            return None
        return fit_spectrum(
            self.counts,
            self.energies,
            elements,
            at_manganese_eV=self.at_manganese_eV,
            beam_energy_keV=self.beam,
            response=response if response is not None or self.calibrated else self._nominal,
            effects=self.calibrated,
            axis_only=self._few and len(elements) < _CALIBRATE_WHOLLY_FROM,
        )

    @property
    def _nominal(self) -> Response:
        return Response(at_manganese_eV=self.at_manganese_eV)

    def _explained(self, model: SpectrumModel | None) -> npt.NDArray[np.float64]:
        """Return the shapes of a fit, or of the background alone, shape (component, energy)."""
        return self.background if model is None else np.vstack([model.shapes, self.background])

    def _weights(self) -> npt.NDArray[np.float64]:
        if self.model is not None:
            return self.model.weights
        smooth = np.convolve(np.maximum(self.counts, 0), np.ones(7) / 7, "same")[self._used]
        return poisson_weights(smooth, 0 * smooth)

    @property
    def _used(self) -> slice:
        return slice(int(np.searchsorted(self.energies, LOWEST_KEV)), len(self.energies))

    def _chi_squared(self, model: SpectrumModel | None) -> float:
        """Return chi squared of a fit of other elements, with the weights of the present one."""
        used, weights = self._used, self._weights()
        total = self._background_alone() if model is None else model.total
        return float(weights @ (self.counts - total)[used] ** 2)

    def _background_alone(self) -> npt.NDArray[np.float64]:
        used, weights = self._used, self._weights()
        shapes = self.background[:, used]
        amplitudes = non_negative((shapes * weights) @ shapes.T, (shapes * weights) @ self.counts[used])
        found: npt.NDArray[np.float64] = amplitudes @ self.background
        return found

    def _gains(self) -> dict[str, float]:
        """Return by how much each plausible further element lowers chi squared.

        It is divided by chi squared per channel, so that slightly wrong line shapes do not bring in
        elements.
        """
        used, weights = self._used, self._weights()
        base = self._explained(self.model)[:, used]
        counts = self.counts[used]
        normal, right = (base * weights) @ base.T, (base * weights) @ counts
        amplitudes = non_negative(normal, right)
        before = float(weights @ (counts - amplitudes @ base) ** 2)
        scale = max(1.0, before / max(1, len(counts) - len(base)))
        response = self._nominal if self.model is None else self.model.response
        found = {}
        for element in elements_between(*_ELEMENTS):
            lines = self._lines(element)
            peaks = self._own_peak(element, self.model) >= _SIGNIFICANT
            if element in self.accepted or not (peaks or self._is_light(element)):
                continue
            shells = [
                shell for shell in dict.fromkeys(line.shell for line in lines) if has_photons(element, shell)
            ]
            own = np.array(
                [
                    lines_shape([one[1:] for one in shell_members(element, shell)], self.energies, response)
                    for shell in shells
                ]
            )[:, used]
            if not peaks and not ((own * weights) @ (counts - amplitudes @ base) > 0).any():
                continue  # nothing is missing at its lines
            both = np.vstack([base, own])
            cross = (own * weights) @ both.T
            whole = np.block([[normal, cross[:, : len(base)].T], [cross]])
            fitted = non_negative(whole, np.concatenate([right, (own * weights) @ counts]))
            after = float(weights @ (counts - fitted @ both) ** 2)
            mine = dict(zip(shells, fitted[len(base) :], strict=True))
            gain = (before - after) / scale
            needed = (_SIGNIFICANT if peaks else _OBVIOUS) ** 2
            if (
                gain >= needed
                and self._has_inner_lines(element, mine)
                and self._shows_inner_peaks(element, mine)
            ):
                found[element] = gain
        return self._refined(found)

    def _refined(self, gains: dict[str, float]) -> dict[str, float]:
        """Fit the best candidates again, with the proportions of all other lines free."""
        if self.model is None:
            return gains
        before = self._chi_squared(self.model)
        for element in sorted(gains, key=lambda one: -gains[one])[:_REFINED]:
            after = self._chi_squared(self._fit((*self.accepted, element), self.model.response))
            gains[element] = (before - after) / max(1.0, self.model.misfit)
        return gains

    def _own_peak(self, element: str, model: SpectrumModel | None) -> float:
        """Return the significance of the clearest peak of an element in the residual."""
        recorded = {line.name.partition("_")[2] for line in self._lines(element)}
        members = [one for shell in "KLM" for one in shell_members(element, shell)]
        return max(
            (
                self._peak(energy, model)
                for label, energy, share in members
                if share >= _MEMBER_SHARE and label in recorded
            ),
            default=0.0,
        )

    def _is_light(self, element: str) -> bool:
        """Tell whether the K lines of an element are within the spectrum: they are the simplest."""
        lines = self._lines(element)
        return bool(lines) and lines[0].shell == "K"

    def _peak(self, energy_keV: float, model: SpectrumModel | None) -> float:
        """Return the standard deviations of the peak of a line above its flanks in the residual."""
        if model is None:
            total = lines = self._background_alone()
            lines = np.zeros_like(total)
            place, width = energy_keV, resolution_keV(energy_keV, self.at_manganese_eV)
        else:
            total = model.total
            lines = total - model.part("background")
            place = model.response.position_keV(energy_keV)
            width = model.response.fwhm_keV(energy_keV)
        return peak_deviations(
            self.energies, self.counts, total, _LINE_ERROR * lines, place_keV=place, width_keV=width
        )

    def _lines(self, element: str) -> list[XrayLine]:
        """Return the main lines of an element that are recorded."""
        low, high = max(LOWEST_KEV, float(self.energies[0])), float(self.energies[-1])
        return [
            line
            for line in lines_of(element)
            if low < line.energy_keV - resolution_keV(line.energy_keV, self.at_manganese_eV) / 2
            and line.energy_keV + resolution_keV(line.energy_keV, self.at_manganese_eV) / 2 < high
        ]

    def _is_known(self, element: str) -> bool:
        try:
            return bool(self._lines(element))
        except ParameterError:
            return False  # hydrogen, helium, or no element at all

    def _window(self, line: XrayLine) -> tuple[int, int]:
        window = line_window(line, at_manganese_eV=self.at_manganese_eV)
        start, stop = np.searchsorted(self.energies, [window.low_keV, window.high_keV])
        return int(start), int(stop)

    def _neighbours(self, line: XrayLine) -> list[str]:
        """Return the elements that have more than a fifth of the counts in the window of a line."""
        assert self.model is not None
        start, stop = self._window(line)
        mine = self.model.part(line.element)[start:stop].sum()
        others = [one for one in self.accepted if one != line.element]
        return [one for one in others if self.model.part(one)[start:stop].sum() > _OVERLAPPED * mine]

    def _shows_inner_peaks(self, element: str, photons: dict[str, float]) -> bool:
        """Tell whether the alpha line of an inner shell has a peak of its own where one is expected.

        Next to another line the fitted photons may be errors of that line.
        """
        alphas = {line.shell: line for line in self._lines(element) if line.label.endswith("a")}
        for inner, outer in itertools.pairwise("KLM"):
            if inner not in alphas or outer not in alphas or self.beam < _TRANSMISSION_KEV:
                continue
            line = alphas[inner]
            if line.energy_keV > _INNER_KEV or alphas[outer].energy_keV < _SOFT_KEV:
                continue
            start, stop = self._window(line)
            noise = np.sqrt(max(self.counts[start:stop].sum(), 1.0))
            expected = _OUTER_SHARE * photons.get(outer, 0.0) * line.weight
            if expected > _SIGNIFICANT * noise and self._peak(line.energy_keV, self.model) < _SEEN:
                return False
        return True

    def _has_inner_lines(self, element: str, photons: dict[str, float]) -> bool:
        shells = list(photons)
        alphas = {line.shell: line for line in lines_of(element) if line.label.endswith("a")}
        for inner, outer in itertools.pairwise(shells):
            line = alphas.get(inner)
            if line is None or line.energy_keV > _INNER_KEV:
                continue
            start, stop = np.searchsorted(
                self.energies, line.energy_keV + np.array([-0.5, 0.5]) * resolution_keV(line.energy_keV)
            )
            noise = np.sqrt(max(self.counts[start:stop].sum(), 1.0))
            share = _OUTER_SHARE if self.beam >= _TRANSMISSION_KEV else _INNER_SHARE
            if photons[inner] + 4 * noise < share * photons[outer]:
                return False
            soft = outer == "L" and outer in alphas and alphas[outer].energy_keV < _SOFT_KEV
            if soft and photons[inner] + 2 * noise < _SOFT_INNER_SHARE * photons[outer]:
                return False
        return True
