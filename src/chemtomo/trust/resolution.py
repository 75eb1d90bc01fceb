"""Resolution of a volume by the Fourier shell correlation of two that were made from independent data."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from chemtomo.errors import DataError, ParameterError
from chemtomo.trust.parameters import Criterion

__all__ = ["Direction", "ShellCorrelation", "shell_correlation", "soft_mask"]

Direction = Literal["all", "beam", "across", "axis"]

_Array = npt.NDArray[np.float64]

_CONE_DEG = 30.0  # half the opening of the cone about a direction
_RANDOM_BELOW = 0.8  # phases are made random from where the correlation first falls below
_AXES = {"beam": 0, "axis": 1, "across": 2}  # of the volume (z, y, x)


@dataclasses.dataclass(frozen=True, eq=False)
class ShellCorrelation:
    """Correlation of two volumes over spatial frequency.

    Attributes
    ----------
    frequencies : numpy.ndarray, shape (shell,)
        Middle of each shell, 1 / nm.
    correlation : numpy.ndarray, shape (shell,)
        What the two have in common: 1 where they are equal, about 0 where they are noise. Without what the
        mask adds to it.
    threshold : numpy.ndarray, shape (shell,)
        The correlation that the criterion asks for.
    criterion : str
        Its name.
    direction : str
        Directions of the frequencies: all, or within 30 degrees of the beam at 0 degrees, of the tilt axis,
        or of what is across both.
    resolution_nm : float
        Where the correlation first falls below the threshold, as a period. Twice the voxel size when it stays
        above it.
    reached : bool
        Whether it falls below the threshold at all.
    """

    frequencies: _Array
    correlation: _Array
    threshold: _Array
    criterion: str
    direction: str
    resolution_nm: float
    reached: bool


def shell_correlation(
    first: npt.NDArray[np.float32],
    second: npt.NDArray[np.float32],
    voxel_size_nm: float,
    *,
    mask: npt.NDArray[np.float32] | None = None,
    direction: Direction = "all",
    criterion: Criterion = "half-bit",
    seed: int = 0,
) -> ShellCorrelation:
    """Correlate two volumes of the same sample, made from independent data, shell by shell.

    Parameters
    ----------
    first, second : numpy.ndarray, shape (z, y, x)
        The volumes.
    voxel_size_nm : float
        Edge of a voxel.
    mask : numpy.ndarray, shape (z, y, x), optional
        Weights from 0 to 1 with soft edges, see `soft_mask`. What it makes equal in both is taken off by the
        correlation of volumes with random phases (Chen et al. 2013).
    direction : {"all", "beam", "across", "axis"}
        Which frequencies.
    criterion : {"half-bit", "0.143", "0.5"}
        Half-bit (van Heel and Schatz 2005) rises where a shell has few independent values. 0.143 (Rosenthal
        and Henderson 2003) is what two halves have where the whole has one half.
    seed : int
        Of the random phases.

    Raises
    ------
    DataError
        When the volumes differ in shape, or one is the same everywhere.
    ParameterError
        When a choice is not known.

    Notes
    -----
    M. van Heel, M. Schatz, J. Struct. Biol. 151, 250 (2005); P. B. Rosenthal, R. Henderson, J. Mol. Biol.
    333, 721 (2003); S. Chen et al., Ultramicroscopy 135, 24 (2013). What a regularisation does to both
    volumes alike is no noise to this measure: a bias that both share stays hidden, and two regularised
    volumes agree at frequencies of which the data say nothing.
    """
    if first.shape != second.shape or first.ndim != 3:
        raise DataError(
            f"shell correlation: found volumes of shapes {first.shape} and {second.shape}; expected the "
            "same, (z, y, x)"
        )
    weight = np.ones(first.shape, np.float32) if mask is None else mask
    pair = [np.fft.rfftn((one - _mean(one, weight)) * weight) for one in (first, second)]
    if any(not np.any(one) for one in pair):
        raise DataError("shell correlation: found a volume that is the same everywhere; expected a sample")
    shell, count = _shells(first.shape, direction)
    frequencies = (np.arange(count) + 0.5) / (max(first.shape) * voxel_size_nm)
    values = np.bincount(shell[shell >= 0], minlength=count)
    correlation = _correlate(pair, shell, count)
    if mask is not None:
        below = np.flatnonzero(correlation < _RANDOM_BELOW)
        start = int(below[0]) if below.size else count
        rng = np.random.default_rng(seed)
        random = [_random_phases(one, weight, start, max(first.shape), rng) for one in (first, second)]
        of_mask = np.clip(_correlate(random, shell, count), 0, 0.99)
        beyond = np.arange(count) >= start + 1
        correlation = np.where(beyond, (correlation - of_mask) / (1 - of_mask), correlation)
    # A soft mask makes neighbours in Fourier space depend on each other.
    independent = np.maximum(values * float(np.mean(weight**2)), 1)
    threshold = _threshold(criterion, independent)
    used = values > 0
    frequencies, correlation, threshold = (one[used] for one in (frequencies, correlation, threshold))
    crossing = _crossing(frequencies, correlation - threshold)
    resolution = 2 * voxel_size_nm if crossing is None else 1 / crossing
    return ShellCorrelation(
        frequencies, correlation, threshold, criterion, direction, resolution, crossing is not None
    )


def soft_mask(volume: npt.NDArray[np.float32], *, margin_px: float = 3.0) -> npt.NDArray[np.float32]:
    """Return where a sample is, with soft edges, from a volume (z, y, x).

    Where the smoothed volume is above a tenth of its bright values, wider by the margin; the edge falls over
    the margin as half a cosine.
    """
    smooth = ndimage.gaussian_filter(volume, 2.0)
    inside = smooth > 0.1 * np.percentile(smooth, 99.0)
    if not inside.any() or inside.all():
        return np.ones(volume.shape, np.float32)
    # Slices go on beyond the volume: its ends along the tilt axis are no edges of the sample.
    distance = ndimage.distance_transform_edt(~inside)
    away = np.clip((distance - margin_px) / max(margin_px, 1e-6), 0, 1)
    mask: npt.NDArray[np.float32] = (0.5 + 0.5 * np.cos(np.pi * away)).astype(np.float32)
    return mask


def _mean(volume: npt.NDArray[np.float32], weight: npt.NDArray[np.float32]) -> float:
    return float((volume * weight).sum() / weight.sum())


def _shells(shape: tuple[int, ...], direction: Direction) -> tuple[npt.NDArray[np.intp], int]:
    """Return the number of the shell of every Fourier coefficient, -1 for none, and how many there are."""
    kz, ky, kx = np.meshgrid(
        np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2]), indexing="ij"
    )
    radius = np.sqrt(kz**2 + ky**2 + kx**2)
    longest = max(shape)
    count = longest // 2
    shell = np.floor(radius * longest).astype(np.intp)
    shell[(shell >= count) | (radius == 0)] = -1
    # The plane of the real transform holds these coefficients twice.
    shell[(kx == 0) & ((ky < 0) | ((ky == 0) & (kz < 0)))] = -1
    if direction != "all":
        if direction not in _AXES:
            raise ParameterError(f"direction: found {direction!r}; expected all, {', '.join(_AXES)}")
        along = np.abs((kz, ky, kx)[_AXES[direction]])
        shell[along < np.cos(np.deg2rad(_CONE_DEG)) * radius] = -1
    return shell, count


def _correlate(pair: list[npt.NDArray[np.complex128]], shell: npt.NDArray[np.intp], count: int) -> _Array:
    kept = shell >= 0
    number = shell[kept]
    one, two = (values[kept] for values in pair)
    cross = np.bincount(number, (one * two.conj()).real, count)
    power = np.bincount(number, np.abs(one) ** 2, count) * np.bincount(number, np.abs(two) ** 2, count)
    return np.asarray(np.divide(cross, np.sqrt(power), out=np.zeros(count), where=power > 0))


def _random_phases(
    volume: npt.NDArray[np.float32],
    weight: npt.NDArray[np.float32],
    start: int,
    longest: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.complex128]:
    """Transform of the masked volume whose phases are random from a shell on."""
    transform = np.fft.rfftn(volume - _mean(volume, weight))
    kz, ky, kx = np.meshgrid(
        np.fft.fftfreq(volume.shape[0]),
        np.fft.fftfreq(volume.shape[1]),
        np.fft.rfftfreq(volume.shape[2]),
        indexing="ij",
    )
    far = np.sqrt(kz**2 + ky**2 + kx**2) * longest >= start
    phases = np.fft.rfftn(rng.standard_normal(volume.shape))[far]
    transform[far] = np.abs(transform[far]) * phases / np.maximum(np.abs(phases), 1e-30)
    return np.asarray(np.fft.rfftn(np.fft.irfftn(transform, volume.shape, axes=(0, 1, 2)) * weight))


def _threshold(criterion: Criterion, independent: _Array) -> _Array:
    if criterion == "half-bit":
        root = np.sqrt(independent)
        return np.asarray((0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root))
    if criterion in ("0.143", "0.5"):
        return np.full(independent.shape, float(criterion))
    raise ParameterError(f"criterion: found {criterion!r}; expected half-bit, 0.143 or 0.5")


def _crossing(frequencies: _Array, above: _Array) -> float | None:
    """Frequency at which it falls below 0 for two shells, after it was above; between the shells.

    Half-bit asks for more than the first shells, of a few values each, can have.
    """
    start = np.flatnonzero(above >= 0)
    if not start.size:
        return float(frequencies[0])
    for number in range(int(start[0]) + 1, above.size):
        if (above[number : number + 2] < 0).all():
            high, low = above[number - 1], above[number]
            share = max(high, 0.0) / (max(high, 0.0) - low)
            return float(frequencies[number - 1] + share * (frequencies[number] - frequencies[number - 1]))
    return None
