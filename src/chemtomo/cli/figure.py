"""A picture of a multichannel volume: maximum projections and orthogonal slices, in colour."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from chemtomo.data import Volume
from chemtomo.data.colours import channel_colours, is_structural
from chemtomo.io.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw", "mix_colours"]

_Image = npt.NDArray[np.float32]

_BACKGROUND = "#0b0d12"
_TEXT = "#d5dae3"


def draw(volume: Volume, path: str | PathLike[str], *, title: str = "", caption: str = "") -> Path:
    """Write a PNG with maximum projections along the three axes, and slices through the middle.

    Channels are added up in their colours (`chemtomo.data.colours.channel_colours`), each from zero to
    its percentile 99.5 in the sample.

    Parameters
    ----------
    volume : Volume
        What to show.
    path : path
        File to write; it is replaced if it exists.
    title : str
        Title above the panels.
    caption : str
        Lines of text below the legend.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    WriteError
        When the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(path)
    scaled = _normalise(volume.data)
    colours = _rgb(volume.names) * _slice_weights(volume.names)
    # The panels have widths in proportion to their voxels, so that all have the same scale.
    depth, height, width = volume.shape
    panels = 2 * (width + depth)
    figure = Figure(figsize=(11.6, 1.2 + 11.0 * (depth + height) / (1.06 * panels)), dpi=110)
    figure.set_facecolor(_BACKGROUND)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        2,
        4,
        width_ratios=[width, depth, width, depth],
        height_ratios=[depth, height],
        left=0.015,
        right=0.985,
        top=0.86,
        bottom=0.02,
        wspace=0.05,
        hspace=0.05,
    )
    z, y, x = (size // 2 for size in volume.shape)
    # The views along the axes of the volume: (row, column, axis, position of the crosshair, axis labels).
    views: tuple[tuple[int, int, int, tuple[float, float], str, str], ...] = (
        (0, 0, 1, (x, z), "x", "z"),
        (1, 0, 0, (x, y), "x", "y"),
        (1, 1, 2, (z, y), "z", "y"),
    )
    for first, name in enumerate(("Maximum projections", "Slices through the middle")):
        for row, column, axis, lines, horizontal, vertical in views:
            middle = scaled.take(volume.shape[axis] // 2, axis + 1)
            image = np.asarray(middle if first else scaled.max(axis + 1))
            image = np.swapaxes(image, 1, 2) if horizontal == "z" else image
            axes = figure.add_subplot(grid[row, 2 * first + column])
            mixed = mix_colours(image, colours if first else colours * _rarity(scaled))
            axes.imshow(mixed, interpolation="nearest")
            _annotate(axes, lines if first else None, horizontal, vertical)
            if (row, column) == (0, 0):
                axes.set_title(name, color=_TEXT, fontsize=10, loc="left")
                _scale_bar(axes, width, volume.voxel_size_nm)
    _legend(figure.add_subplot(grid[0, 1]), volume.names, "")
    _legend(figure.add_subplot(grid[0, 3]), (), caption)
    if title:
        figure.text(0.02, 0.955, title, color=_TEXT, fontsize=13, weight="bold", va="center")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=_BACKGROUND)
    with replacing([path]) as (temporary,):
        temporary.write_bytes(buffer.getvalue())
    return path


def mix_colours(channels: _Image, colours: _Image) -> _Image:
    """Add up channels in their colours.

    Parameters
    ----------
    channels : numpy.ndarray, shape (channel, ...)
        Values from 0 to 1.
    colours : numpy.ndarray, shape (channel, 3)
        Red, green and blue of every channel, from 0 to 1.

    Returns
    -------
    numpy.ndarray, shape (..., 3)
        Red, green and blue, clipped to 1.
    """
    mixed: _Image = np.tensordot(channels, colours, axes=(0, 0)).astype(np.float32)
    return np.minimum(mixed, 1)


def _normalise(data: npt.NDArray[np.float32]) -> _Image:
    """Scale every channel from 0 to 1, where 1 is its percentile 99.5 among values above zero."""
    scaled = np.zeros_like(data, dtype=np.float32)
    for target, channel in zip(scaled, data, strict=True):
        positive = channel[channel > 0.02 * max(float(channel.max()), 0)]
        if positive.size:
            np.clip(channel / float(np.percentile(positive, 99.5)), 0, 1, out=target)
    return scaled


def _hex(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _rgb(names: tuple[str, ...]) -> _Image:
    return np.array([_hex(colour) for colour in channel_colours(names)], dtype=np.float32)


def _slice_weights(names: tuple[str, ...]) -> _Image:
    """Return weights that dim grey signals where there are elements, so that colours stay visible."""
    grey = np.array([is_structural(name) for name in names])
    weights = np.where(grey & ~grey.all(), 0.3, 1.0)
    return weights[:, np.newaxis].astype(np.float32)


def _rarity(scaled: _Image) -> _Image:
    """Return weights that dim channels which fill the sample: in a projection they would hide the others."""
    occupied = np.maximum((scaled > 0.2).mean(axis=(1, 2, 3)), 1e-6)
    weights: _Image = np.clip(0.3 * occupied.max() / occupied, 0, 1)[:, np.newaxis].astype(np.float32)
    return weights


def _annotate(axes: Axes, crosshair: tuple[float, float] | None, horizontal: str, vertical: str) -> None:
    if crosshair is not None:
        axes.axvline(crosshair[0], color="white", linewidth=0.5, alpha=0.35)
        axes.axhline(crosshair[1], color="white", linewidth=0.5, alpha=0.35)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_color("#39404d")
    axes.text(0.97, 0.03, f"{horizontal} →", color=_TEXT, fontsize=8, ha="right", transform=axes.transAxes)
    axes.text(0.03, 0.97, f"{vertical} ↓", color=_TEXT, fontsize=8, va="top", transform=axes.transAxes)


def _scale_bar(axes: Axes, width: int, voxel_size_nm: float) -> None:
    longest = 0.35 * width * voxel_size_nm
    exponent = np.floor(np.log10(longest))
    length = max(step * 10.0**exponent for step in (1, 2, 5) if step * 10.0**exponent <= longest)
    left, low = 0.04 * width, axes.get_ylim()[0] - 0.05 * width
    axes.plot([left, left + length / voxel_size_nm], [low, low], color="white", linewidth=3)
    axes.text(left, low - 0.03 * width, f"{length:g} nm", color="white", fontsize=9)


def _legend(axes: Axes, names: tuple[str, ...], caption: str) -> None:
    axes.set_axis_off()
    for index, (name, colour) in enumerate(zip(names, channel_colours(names), strict=True)):
        level = 0.86 - 0.15 * index
        axes.text(0.10, level, "\N{BLACK SQUARE}", color=colour, fontsize=17, va="center")
        axes.text(0.26, level, name, color=_TEXT, fontsize=12, va="center")
    axes.text(0.10, 0.02, caption, color=_TEXT, fontsize=8.5, va="bottom", linespacing=1.6, alpha=0.8)
