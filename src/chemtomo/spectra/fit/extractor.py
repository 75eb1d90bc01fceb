"""Element maps by a linear fit of whole spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ParameterError
from chemtomo.spectra.extract import Measured, count, window_channels
from chemtomo.spectra.fit.model import SpectrumModel
from chemtomo.spectra.windows import EnergyWindow

__all__ = ["FitExtractor"]

# Fitted together, two shapes of the cosine c have 1 / sqrt(1 - c^2) times the deviation of one by itself;
# at this one it is 3 / 2 of it.
_ALIKE = 0.75
_PIXELS_AT_ONCE = 2048


class FitExtractor:
    r"""Counts in windows, and the background in them from other lines and bremsstrahlung.

    Every spectrum is taken as :math:`\sum_k a_k s_k(E)` with the shapes of a `SpectrumModel`, and
    :math:`a` estimated by least squares with the weights of the sum spectrum's fit. The background of a
    window is the sum of all :math:`a_k s_k` in it that do not belong to the window's element. The
    estimate is linear in the counts, so it has no bias, and is one matrix product for all pixels. Only
    at the end, after smoothing, negative values become zero, and the other values of the projection are
    scaled so that its sum is unchanged.

    The counts in the window stay what they are: their expectation is the element's own part plus this
    background, which is the model of a reconstruction with Poisson noise. Counts minus background of a
    projection add up to the element's counts in the fit of the projection's sum spectrum. Their variance
    follows from that of every channel, which is its counts.

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
        Pairs of lines that overlap too much to be separated.

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
        normal = (shapes * model.weights) @ shapes.T
        estimate = np.linalg.pinv(normal, rcond=1e-10, hermitian=True) @ (shapes * model.weights)
        self.notes = _alike(names, normal, shells)
        # Two columns per window: the background, and the variance of the counts minus it.
        columns = []
        self.line_shares = []
        for shell, (start, stop) in zip(shells, self.ranges, strict=True):
            element = shell.split("_")[0]
            inside = shapes[:, start:stop].sum(axis=1)
            others = np.array([name.rpartition("_")[0] != element for name in names])
            behind = (inside * others) @ estimate
            net = -behind
            net[start:stop] += 1
            columns += [behind, net**2]
            self.line_shares.append(float(inside[names.index(shell)]))
        self.matrix = np.array(columns, np.float32).T.copy()

    def measure(self, spectra: npt.NDArray[Any]) -> Measured:
        """See `Extractor.measure`."""
        counts = np.stack([count(spectra, *one) for one in self.ranges])
        flat = spectra.reshape(-1, spectra.shape[-1])
        found = np.empty((len(flat), self.matrix.shape[1]), np.float32)
        # In pieces that stay in the processor's cache as floats.
        for start in range(0, len(flat), _PIXELS_AT_ONCE):
            piece = slice(start, start + _PIXELS_AT_ONCE)
            np.matmul(flat[piece].astype(np.float32), self.matrix, out=found[piece])
        both = found.T.reshape(len(self.windows), 2, *spectra.shape[:-1])
        return Measured(counts, both[:, :1], both[:, 1])

    def background(self, measures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See `Extractor.background`."""
        behind = measures[:, 0]
        positive = np.maximum(behind, 0)
        total = np.maximum(behind.sum(axis=(-2, -1), keepdims=True, dtype=np.float64), 0)
        clipped = positive.sum(axis=(-2, -1), keepdims=True, dtype=np.float64)
        scale = np.divide(total, clipped, out=np.zeros_like(total), where=clipped > 0)
        found: npt.NDArray[np.float32] = (positive * scale).astype(np.float32)
        return found


def _alike(names: Sequence[str], normal: npt.NDArray[np.float64], mapped: Sequence[str]) -> tuple[str, ...]:
    """Name the pairs of lines that are hard to tell apart, where one of them is mapped."""
    scale = np.sqrt(np.diag(normal))
    cosine = normal / np.maximum(np.outer(scale, scale), 1e-300)
    return tuple(
        f"the lines {names[one]} and {names[two]} overlap strongly (cosine {cosine[one, two]:.2f}); "
        "the division of their counts is uncertain"
        for one in range(len(names))
        for two in range(one)
        if cosine[one, two] > _ALIKE and (names[one] in mapped or names[two] in mapped)
    )
