"""Fit overlapping X-ray lines: Gaussians on the background of Kramers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ParameterError
from chemtomo.spectra.extract import count, window_channels
from chemtomo.spectra.lines import lines_of, shell_members
from chemtomo.spectra.windows import EnergyWindow, resolution_keV

__all__ = ["FitExtractor", "SpectrumModel", "fit_spectrum", "kramers_shapes", "line_shape"]

_SHELLS = ("K", "L", "M")
# A shell takes part in a fit when at least this share of its photons is in the range.
_LEAST_SHARE = 0.3
# Two shapes of this cosine: the variance of their division is four times that of one by itself.
_ALIKE = 0.85
_LOWEST_KEV = 0.15
_ROUNDS = 4
_PIXELS_AT_ONCE = 2048


@dataclasses.dataclass(frozen=True)
class SpectrumModel:
    """A spectrum as a sum of shapes.

    Attributes
    ----------
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of the channels.
    fitted : slice
        The channels that were fitted.
    names : tuple of str
        ``"Fe_K"``, ``"Fe_L"``... for the lines of a shell together, and ``"background"``.
    shapes : numpy.ndarray, shape (component, energy)
        Expected counts of a component with the amplitude 1. That of a shell has all its photons with the
        sum 1, as far as they are in the range.
    amplitudes : numpy.ndarray, shape (component,)
        Counts of every component, not negative.
    """

    energies_keV: npt.NDArray[np.float64]
    fitted: slice
    names: tuple[str, ...]
    shapes: npt.NDArray[np.float64]
    amplitudes: npt.NDArray[np.float64]

    @property
    def total(self) -> npt.NDArray[np.float64]:
        """The fitted spectrum, shape (energy,)."""
        found: npt.NDArray[np.float64] = self.amplitudes @ self.shapes
        return found

    def part(self, element: str) -> npt.NDArray[np.float64]:
        """Return what belongs to an element (or to ``"background"``), shape (energy,)."""
        mine = [name == element or name.rpartition("_")[0] == element for name in self.names]
        found: npt.NDArray[np.float64] = self.amplitudes[mine] @ self.shapes[mine]
        return found


def line_shape(
    element: str, shell: str, energies_keV: npt.NDArray[np.float64], at_manganese_eV: float = 130.0
) -> npt.NDArray[np.float64]:
    """Return the shape of the lines of a shell: a Gaussian each, integrated over every channel.

    Parameters
    ----------
    element : str
        Chemical symbol.
    shell : {"K", "L", "M"}
        All lines with a vacancy in this shell, with their tabulated shares.
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of evenly spaced channels.
    at_manganese_eV : float
        See `chemtomo.spectra.resolution_keV`.

    Returns
    -------
    numpy.ndarray, shape (energy,)
        Expected counts for one photon; the sum is the share of the photons in the range.
    """
    from scipy.special import ndtr

    step = energies_keV[1] - energies_keV[0]
    borders = np.append(energies_keV, energies_keV[-1] + step) - step / 2
    shape = np.zeros(len(energies_keV))
    for _, energy, share in shell_members(element, shell):
        sigma = resolution_keV(energy, at_manganese_eV) / np.sqrt(8 * np.log(2))
        shape += share * np.diff(ndtr((borders - energy) / sigma))
    return shape


def kramers_shapes(
    energies_keV: npt.NDArray[np.float64], beam_energy_keV: float = 200.0
) -> npt.NDArray[np.float64]:
    r"""Return the shapes that the background is made of, with the sum 1 each.

    Kramers' law for the bremsstrahlung, :math:`(E_0 - E) / E`, times :math:`1` or :math:`E` and times the
    transmission :math:`\exp(-(E_a / E)^3)` of windows and sample for three absorption energies. A sum of
    them that is not negative is smooth, and never negative.

    References
    ----------
    H. A. Kramers, Philosophical Magazine 46 (1923) 836, as in R. Huber et al., Nanoscale 11 (2019) 5617.
    """
    energies = np.maximum(energies_keV, _LOWEST_KEV)
    law = np.maximum(beam_energy_keV - energies, 0.0) / energies
    shapes = [
        law * power * np.exp(-((absorbed / energies) ** 3))
        for absorbed in (0.1, 0.5, 1.2)
        for power in (np.ones_like(energies), energies)
    ]
    return np.array([shape / shape.sum() for shape in shapes])


def fit_spectrum(
    spectrum: npt.NDArray[np.float64],
    energies_keV: npt.NDArray[np.float64],
    elements: Iterable[str],
    *,
    at_manganese_eV: float = 130.0,
    beam_energy_keV: float = 200.0,
    range_keV: tuple[float, float] | None = None,
) -> SpectrumModel:
    """Fit the lines of some elements and a background to a spectrum with many counts.

    Weighted non-negative least squares; the weights of Poisson statistics are those of the fit before,
    four times over. The shapes of the background become one component, in the proportions found.

    Parameters
    ----------
    spectrum : numpy.ndarray, shape (energy,)
        Counts, usually the sum over all pixels and tilts.
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of evenly spaced channels.
    elements : iterable of str
        All elements with lines in the range.
    at_manganese_eV : float
        See `chemtomo.spectra.resolution_keV`.
    beam_energy_keV : float
        Energy of the electrons.
    range_keV : (float, float), optional
        What is fitted. From 0.15 keV, above the noise peak at zero, to the end by default.

    Returns
    -------
    SpectrumModel
        With all shells of which at least 30 % of the photons are in the range.

    Raises
    ------
    ParameterError
        When the range holds too few channels, an element is unknown, or has no lines in the range.
    """
    from scipy.optimize import nnls

    low, high = range_keV or (_LOWEST_KEV, np.inf)
    start, stop = np.searchsorted(energies_keV, [max(low, _LOWEST_KEV), high])
    if stop - start < 10:
        raise ParameterError(
            f"fit: found {stop - start} channels between {low:g} and {high:g} keV; expected 10 at least"
        )
    fitted = slice(int(start), int(stop))
    names, lines = _shells(elements, energies_keV, fitted, at_manganese_eV)
    kramers = kramers_shapes(energies_keV, beam_energy_keV)
    shapes = np.vstack([lines, kramers])
    counts = np.asarray(spectrum, np.float64)[fitted]
    model = np.convolve(np.maximum(counts, 0), np.ones(9) / 9, "same")
    amplitudes = np.zeros(len(shapes))
    for _ in range(_ROUNDS):
        weights = 1 / np.sqrt(np.maximum(model, max(1e-3 * model.mean(), 1e-12)))
        amplitudes, _ = nnls((shapes[:, fitted] * weights).T, counts * weights, maxiter=100 * len(shapes))
        model = amplitudes @ shapes[:, fitted]
    background = amplitudes[len(names) :] @ kramers
    counted = background.sum()
    background = background / counted if counted > 0 else kramers[0]
    return SpectrumModel(
        energies_keV,
        fitted,
        (*names, "background"),
        np.vstack([lines, background]),
        np.append(amplitudes[: len(names)], counted),
    )


class FitExtractor:
    r"""Counts in windows, and what the other lines and the bremsstrahlung add to them.

    Every spectrum is taken as :math:`\sum_k a_k s_k(E)` with the shapes of a `SpectrumModel`, and
    :math:`a` estimated by least squares with the weights of the sum spectrum's fit. The background of a
    window is the sum of all :math:`a_k s_k` in it that do not belong to the window's element. The
    estimate is linear in the counts, so it has no bias, and is one matrix product for all pixels. Only
    at the end, after smoothing, negative values become zero.

    The counts in the window stay what they are: their expectation is the element's own part plus this
    background, which is the model of a reconstruction with Poisson noise.

    Parameters
    ----------
    model : SpectrumModel
        The fit of the sum spectrum. Components without counts in it are left out, except those of the
        windows' elements.
    windows : sequence of EnergyWindow
        Windows of lines; their ranges of background are not used.

    Attributes
    ----------
    notes : tuple of str
        Pairs of lines that are too alike to be told apart.

    Raises
    ------
    ParameterError
        When a window is not of an element in the model, or outside of what was fitted.
    """

    measures = 1

    def __init__(self, model: SpectrumModel, windows: Sequence[EnergyWindow]) -> None:
        if not windows:
            raise ParameterError("found no line to map; expected at least one")
        self.windows = tuple(window.replace(background=()) for window in windows)
        self.channels = model.fitted
        first = model.fitted.start
        self.ranges = []
        for window in self.windows:
            ((start, stop),) = window_channels(model.energies_keV, window)
            if start < first or stop > model.fitted.stop:
                raise ParameterError(
                    f"window {window.line!r}: found it partly outside of the range that is fitted, from "
                    f"{model.energies_keV[first]:.4g} to {model.energies_keV[model.fitted.stop - 1]:.4g} keV"
                )
            self.ranges.append((start - first, stop - first))
        shells = ["_".join((window.line.split("_")[0], window.line.split("_")[1][0])) for window in windows]
        missing = [shell for shell in shells if shell not in model.names]
        if missing:
            raise ParameterError(
                f"found no {', '.join(missing)} in the fit; expected one of {', '.join(model.names)}"
            )
        kept = [
            index
            for index, (name, amplitude) in enumerate(zip(model.names, model.amplitudes, strict=True))
            if amplitude > 0 or name in shells
        ]
        names = [model.names[index] for index in kept]
        shapes = model.shapes[kept][:, model.fitted]
        weights = 1 / np.maximum(model.total[model.fitted], 1e-6 * model.total.max() + 1e-12)
        normal = (shapes * weights) @ shapes.T
        inverse = np.linalg.pinv(normal, rcond=1e-10, hermitian=True)
        estimate = inverse @ (shapes * weights)
        self.notes = _alike(names, normal)
        self.matrix = np.empty((shapes.shape[1], len(self.windows)), np.float32)
        self.line_shares = []
        for column, (shell, (start, stop)) in enumerate(zip(shells, self.ranges, strict=True)):
            element = shell.split("_")[0]
            inside = shapes[:, start:stop].sum(axis=1)
            others = np.array([name.rpartition("_")[0] != element for name in names])
            self.matrix[:, column] = (inside * others) @ estimate
            mine = names.index(shell)
            self.line_shares.append(float(inside[mine]))

    def measure(self, spectra: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        """See `Extractor.measure`."""
        counts = np.stack([count(spectra, *one) for one in self.ranges])
        flat = spectra.reshape(-1, spectra.shape[-1])
        found = np.empty((len(flat), len(self.windows)), np.float32)
        # In pieces that stay in the processor's cache as floats.
        for start in range(0, len(flat), _PIXELS_AT_ONCE):
            piece = slice(start, start + _PIXELS_AT_ONCE)
            np.matmul(flat[piece].astype(np.float32), self.matrix, out=found[piece])
        return counts, found.T.reshape(len(self.windows), 1, *spectra.shape[:-1])

    def background(self, measures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See `Extractor.background`."""
        return np.maximum(measures[:, 0], 0)


def _shells(
    elements: Iterable[str],
    energies_keV: npt.NDArray[np.float64],
    fitted: slice,
    at_manganese_eV: float,
) -> tuple[list[str], npt.NDArray[np.float64]]:
    names: list[str] = []
    shapes: list[npt.NDArray[np.float64]] = []
    for element in dict.fromkeys(elements):
        lines_of(element)  # says so when there is no such element
        before = len(names)
        for shell in _SHELLS:
            shape = line_shape(element, shell, energies_keV, at_manganese_eV)
            if shape[fitted].sum() >= _LEAST_SHARE:
                names.append(f"{element}_{shell}")
                shapes.append(shape)
        if len(names) == before:
            raise ParameterError(
                f"element {element!r}: found none of its lines between {energies_keV[fitted.start]:.3f} and "
                f"{energies_keV[fitted.stop - 1]:.3f} keV"
            )
    if not names:
        raise ParameterError("found no element to fit; expected at least one")
    return names, np.array(shapes)


def _alike(names: Sequence[str], normal: npt.NDArray[np.float64]) -> tuple[str, ...]:
    scale = np.sqrt(np.diag(normal))
    cosine = normal / np.maximum(np.outer(scale, scale), 1e-300)
    return tuple(
        f"the lines {names[one]} and {names[two]} are hard to tell apart (likeness {cosine[one, two]:.2f}); "
        "the division of their counts is uncertain"
        for one in range(len(names))
        for two in range(one)
        if cosine[one, two] > _ALIKE
    )
