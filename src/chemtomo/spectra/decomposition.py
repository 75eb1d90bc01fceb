"""Components of spectra by NMF or PCA, without a choice of lines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, SpectrumSeries, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.progress import TaskProgress, blocking
from chemtomo.spectra.blocks import block_list, read_block
from chemtomo.spectra.windows import channel_range

__all__ = ["Decomposition", "DecompositionMethod", "decompose", "decompose_job"]

DecompositionMethod = Literal["nmf", "pca"]

_MOST_CHANNELS = 256
_MOST_PIXELS = 20_000
_LOWEST_KEV = 0.15


@dataclasses.dataclass(frozen=True, eq=False)
class Decomposition:
    """Spectra as sums of a few components.

    Attributes
    ----------
    dataset : Dataset
        The loadings: one series a component, of the kind ``"intensity"``. For NMF they are the
        counts that the component has in a pixel.
    spectra : numpy.ndarray, shape (component, energy)
        Spectrum of every component on all channels of the data. Those of NMF have the sum 1; those of PCA
        are deviations from the mean spectrum.
    explained : float
        Share of the variance, after Poisson scaling, that the components explain, 0 to 1.
    """

    dataset: Dataset
    spectra: npt.NDArray[np.float64]
    explained: float

    def renamed(self, names: tuple[str, ...]) -> Decomposition:
        """Return the same components with other names."""
        if len(names) != len(self.dataset):
            raise ParameterError(f"found {len(names)} names; expected {len(self.dataset)}, one per component")
        series = (one.replace(name=name) for one, name in zip(self.dataset, names, strict=True))
        return dataclasses.replace(self, dataset=Dataset(tuple(series)))


def decompose_job(
    series: SpectrumSeries,
    components: int,
    *,
    method: DecompositionMethod = "nmf",
    range_keV: tuple[float, float] | None = None,
    seed: int = 0,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Decomposition | None]:
    """Find the components of spectra by NMF or PCA.

    The channels are binned to 256 at most. Every channel is divided by the square root of its mean, so
    that the noise of Poisson statistics is alike in all (M. R. Keenan and P. G. Kotula, Surface and
    Interface Analysis 36 (2004) 203). The components are found on 20 000 pixels at most, drawn at random
    from all tilts; the loadings follow for every pixel by least squares, block by block, and the spectra
    of the components on all channels from the loadings.

    Parameters
    ----------
    series : SpectrumSeries
        The spectra.
    components : int
        Number of components.
    method : {"nmf", "pca"}
        ``"nmf"``: loadings and spectra are not negative, as those of elements are. ``"pca"``: components by
        falling variance, with values of both signs; they tell how many components there are.
    range_keV : (float, float), optional
        Energies that are used. For X-rays 0.15 keV and above by default.
    seed : int
        Seed of the random choice of pixels and the start of NMF.
    should_stop : callable, optional
        Asked before every block; ``True`` ends without a result.

    Yields
    ------
    TaskProgress
        After every block.

    Returns
    -------
    Decomposition or None
        ``None`` when it was stopped.

    Raises
    ------
    ParameterError
        When there are more components than channels or pixels, or the range holds too few channels.
    DataError
        When the spectra hold no counts, or NMF finds negative values.
    """
    if method not in ("nmf", "pca"):
        raise ParameterError(f"method: found {method!r}; expected 'nmf' or 'pca'")
    binning = _Binning(series, range_keV)
    pixels = int(np.prod(series.shape[:3]))
    if not 1 <= components <= min(binning.bins, pixels):
        raise ParameterError(
            f"spectrum series {series.name!r}: found {components} components; expected 1 to "
            f"{min(binning.bins, pixels)} for {binning.bins} energies and {pixels} pixels"
        )
    blocks = block_list(series)
    rng = np.random.default_rng(seed)
    share = min(1.0, _MOST_PIXELS / pixels)
    drawn = []
    for done, block in enumerate(blocks):
        if should_stop is not None and should_stop():
            return None
        spectra = binning.apply(read_block(series, block))
        chosen = rng.random(len(spectra)) < share
        drawn.append(spectra[chosen] if share < 1 else spectra)
        yield TaskProgress(done + 1, 2 * len(blocks), "Drawing spectra")
    sample = np.concatenate(drawn)
    mean = sample.mean(axis=0)
    if not np.isfinite(mean).all() or not mean.any():
        raise DataError(f"spectrum series {series.name!r}: found no counts; expected spectra")
    scale = 1 / np.sqrt(np.maximum(mean, 1e-3 * mean.max()))
    model = _Model(method, components, seed)
    explained = model.fit(sample * scale, series.name)
    loadings = np.empty((components, *series.shape[:3]), np.float32)
    gram = np.zeros((components + 1, components + 1))
    projected = np.zeros((components + 1, series.shape[3]))
    for done, block in enumerate(blocks):
        if should_stop is not None and should_stop():
            return None
        spectra = read_block(series, block)
        found = model.loadings(binning.apply(spectra) * scale)
        # Spectra on all channels: least squares on the loadings, with a constant for PCA's mean.
        basis = np.column_stack([found, np.ones(len(found))]).astype(np.float32)
        gram += basis.T @ basis
        projected += basis.T @ spectra.reshape(-1, spectra.shape[-1]).astype(np.float32)
        shape = (components, *spectra.shape[:3])
        loadings[(slice(None), *block.place)] = found.T.reshape(shape)
        yield TaskProgress(len(blocks) + done + 1, 2 * len(blocks), "Finding the loadings")
    if method == "nmf":
        shapes = np.maximum(np.linalg.pinv(gram[:-1, :-1], hermitian=True) @ projected[:-1], 0)
        counts = np.maximum(shapes.sum(axis=1), 1e-12)
        shapes /= counts[:, np.newaxis]
        loadings *= counts[:, np.newaxis, np.newaxis, np.newaxis].astype(np.float32)
        order = np.argsort(-loadings.sum(axis=(1, 2, 3), dtype=np.float64))
        loadings, shapes = loadings[order], shapes[order]
    else:
        shapes = (np.linalg.pinv(gram, hermitian=True) @ projected)[:-1]
    entry = {
        "step": "decompose",
        "method": method,
        "components": components,
        "range_keV": [float(binning.energies[0]), float(binning.energies[-1])],
        "seed": seed,
        "explained": round(explained, 4),
    }
    made = tuple(
        TiltSeries(
            f"Component {number + 1}",
            data,
            series.tilts_deg,
            series.pixel_size_nm,
            source=series.source,
            notes=series.notes,
            provenance=(*series.provenance, {**entry, "component": number + 1}),
        )
        for number, data in enumerate(loadings)
    )
    return Decomposition(Dataset(made), shapes, explained)


decompose = blocking(decompose_job)


class _Binning:
    """The energies that are used, in bins of several channels."""

    def __init__(self, series: SpectrumSeries, range_keV: tuple[float, float] | None) -> None:
        energies = series.energies_keV
        lowest = _LOWEST_KEV if series.signal == "EDX" else -np.inf
        low, high = range_keV or (lowest, np.inf)
        start, stop = channel_range(energies, low, high)
        factor = -(-(stop - start) // _MOST_CHANNELS)
        if stop - start < 2:
            raise ParameterError(
                f"spectrum series {series.name!r}: found {stop - start} channels between {low:g} and "
                f"{high:g} keV; expected 2 at least"
            )
        self.factor, self.bins = factor, (stop - start) // factor
        self.channels = slice(start, start + self.bins * factor)
        self.energies = energies[self.channels]

    def apply(self, spectra: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return ``(pixel, bin)`` for ``(tilt, y, x, energy)``."""
        inside = spectra[..., self.channels].reshape(-1, self.bins, self.factor)
        binned: npt.NDArray[np.float32] = inside.sum(axis=2, dtype=np.float32)
        return binned


class _Model:
    def __init__(self, method: DecompositionMethod, components: int, seed: int) -> None:
        self.method, self.components, self.seed = method, components, seed
        self.mean: npt.NDArray[np.float32] | None = None

    def fit(self, sample: npt.NDArray[Any], name: str) -> float:
        """Find the components of scaled spectra; return the share of the variance that they explain."""
        import warnings

        from sklearn.decomposition import NMF, PCA

        sample = sample.astype(np.float32)
        centred = sample - sample.mean(axis=0)
        variance = float((centred.astype(np.float64) ** 2).sum()) or 1.0
        if self.method == "pca":
            found = PCA(self.components, svd_solver="auto", random_state=self.seed).fit(sample)
            self.mean = found.mean_.astype(np.float32)
            self.shapes = found.components_.astype(np.float32)
        else:
            if sample.min() < 0:
                raise DataError(
                    f"spectrum series {name!r}: found negative values; expected counts. "
                    "Use pca instead of nmf"
                )
            fitted = NMF(self.components, init="nndsvda", random_state=self.seed, max_iter=200, tol=1e-3)
            with warnings.catch_warnings():
                # Further iterations change less than the noise of the spectra.
                warnings.filterwarnings("ignore", message="Maximum number of iterations")
                fitted.fit(sample)
            self.shapes = fitted.components_.astype(np.float32)
        rest = sample - self.loadings(sample) @ self.shapes
        if self.mean is not None:
            rest -= self.mean
        return 1 - float((rest.astype(np.float64) ** 2).sum()) / variance

    def loadings(self, scaled: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return ``(pixel, component)`` for scaled spectra ``(pixel, bin)``."""
        scaled = scaled.astype(np.float32)
        if self.mean is not None:
            projected: npt.NDArray[np.float32] = (scaled - self.mean) @ self.shapes.T
            return projected
        return _non_negative(scaled @ self.shapes.T, self.shapes @ self.shapes.T)


def _non_negative(right: npt.NDArray[np.float32], gram: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Solve non-negative least squares for all pixels at once, by coordinate descent.

    Parameters
    ----------
    right : numpy.ndarray, shape (pixel, component)
        Inner products of spectra and components.
    gram : numpy.ndarray, shape (component, component)
        Those of the components.
    """
    found = np.maximum(right @ np.linalg.pinv(gram), 0).astype(np.float32)
    for _ in range(50):
        change = 0.0
        for one in range(len(gram)):
            if gram[one, one] <= 0:
                continue
            better = np.maximum(found[:, one] + (right[:, one] - found @ gram[one]) / gram[one, one], 0)
            change = max(change, float(np.abs(better - found[:, one]).max(initial=0)))
            found[:, one] = better
        if change <= 1e-4 * float(found.max(initial=0)):
            break
    return found
