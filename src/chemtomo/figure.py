"""A picture of a multichannel volume: a view in 3D and three orthogonal slices, in colour."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from chemtomo.data import Volume
from chemtomo.data.colours import channel_colours, is_structural
from chemtomo.io.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw", "mix_colours", "render"]

_Image = npt.NDArray[np.float32]

_BACKGROUND = "#0b0d12"
_TEXT = "#d5dae3"
_OPAQUE = 6.0
_LIGHT = np.array([-0.55, -0.60, -0.58], dtype=np.float32)


def draw(volume: Volume, path: str | PathLike[str], *, title: str = "", caption: str = "") -> Path:
    """Write a PNG with a view in 3D and three orthogonal slices through the middle.

    Channels are added up in their colours (`chemtomo.data.colours.channel_colours`), each from zero to
    its percentile 99.5 in the sample.

    Parameters
    ----------
    volume : Volume
        What to show.
    path : path
        File to write; it is replaced if it exists.
    title : str
        A line of text above.
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
    colours = _rgb(volume.names)
    slice_colours = colours * _slice_weights(volume.names)
    figure = Figure(figsize=(11.6, 5.9), dpi=110, facecolor=_BACKGROUND)
    FigureCanvasAgg(figure)
    # Width of the slices by their number of voxels, so that all three have one scale.
    depth, height, width = volume.shape
    grid = figure.add_gridspec(
        2,
        3,
        width_ratios=[1.28 * (width + depth) * 0.72, width, depth],
        height_ratios=[depth, height],
        left=0.015,
        right=0.985,
        top=0.92,
        bottom=0.04,
        wspace=0.05,
        hspace=0.09,
    )
    view = figure.add_subplot(grid[:, 0])
    view.imshow(render(scaled, colours, volume.names), interpolation="bicubic")
    view.set_axis_off()
    z, y, x = (size // 2 for size in volume.shape)
    cuts: tuple[tuple[Any, _Image, tuple[float, float], str, str], ...] = (
        (grid[0, 1], scaled[:, :, y, :], (x, z), "x", "z"),
        (grid[1, 1], scaled[:, z, :, :], (x, y), "x", "y"),
        (grid[1, 2], scaled[:, :, :, x].transpose(0, 2, 1), (z, y), "z", "y"),
    )
    for place, cut, crosshair, horizontal, vertical in cuts:
        axes = figure.add_subplot(place)
        axes.imshow(mix_colours(cut, slice_colours), interpolation="nearest")
        _annotate(axes, crosshair, horizontal, vertical)
        if (horizontal, vertical) == ("x", "z"):
            _scale_bar(axes, width, volume.voxel_size_nm)
    legend = figure.add_subplot(grid[0, 2])
    _legend(legend, volume.names, caption)
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


def render(channels: _Image, colours: _Image, names: tuple[str, ...], size: int = 340) -> _Image:
    """Look at a volume from obliquely above: light that every voxel sends, hides and reflects.

    Channels that fill the volume are made transparent, so that those that are rare are seen in
    them. Rays are parallel.

    Parameters
    ----------
    channels : numpy.ndarray, shape (channel, z, y, x)
        Values from 0 to 1.
    colours : numpy.ndarray, shape (channel, 3)
        Red, green and blue of every channel.
    names : tuple of str
        Names of the channels; signals of the whole sample (HAADF) shade the surface.
    size : int
        Edge of the image in pixels.

    Returns
    -------
    numpy.ndarray, shape (size, size, 3)
        Red, green and blue from 0 to 1.
    """
    turned, step = _turn(channels, size)
    occupied = np.maximum((channels > 0.2).mean(axis=(1, 2, 3)), 1e-4)
    filling = occupied / occupied.max()
    # Optical depth of a ray that runs through a whole sample's width of the channel.
    opacity = _OPAQUE * step / max(channels.shape[1:]) * np.minimum(0.22 / filling, 12)
    opacity = opacity.astype(np.float32)
    body = np.array([is_structural(name) for name in names])
    if not body.any():
        body[:] = True
    image = np.zeros((*turned.shape[2:], 3), dtype=np.float32)
    passed = np.ones(turned.shape[2:], dtype=np.float32)
    shade = _shading(ndimage.gaussian_filter(turned[body].mean(axis=0), 1.2))
    for layer in range(turned.shape[1]):
        depth = opacity[:, np.newaxis, np.newaxis] * turned[:, layer]
        total = depth.sum(axis=0)
        glow = _mean_colour(depth, colours, total)
        emitted = passed * -np.expm1(-total)
        image += (emitted * shade[layer])[..., np.newaxis] * glow
        passed *= np.exp(-total)
    background = np.array(_hex(_BACKGROUND), dtype=np.float32)
    seen: _Image = np.clip(image * 1.35 + passed[..., np.newaxis] * background, 0, 1).astype(np.float32)
    return seen


def _mean_colour(depth: _Image, colours: _Image, total: _Image) -> _Image:
    """Return the mean colour of the channels in a layer, weighted by their optical depth."""
    mixed: _Image = np.tensordot(depth, colours, axes=(0, 0)).astype(np.float32)
    mixed /= np.maximum(total, 1e-12)[..., np.newaxis]
    return mixed


def _turn(channels: _Image, size: int) -> tuple[_Image, float]:
    """Resample the volume to axes (channel, along the ray, down, right) of the view."""
    shape = np.array(channels.shape[1:])
    across = float(np.sqrt((shape[[0, 2]] ** 2).sum())) * 0.80
    span = max(across, float(shape[1]) * 1.28) * 1.04
    step = span / size
    about_y, about_x = np.deg2rad(-28), np.deg2rad(24)
    turn_y = np.array(
        [[np.cos(about_y), 0, np.sin(about_y)], [0, 1, 0], [-np.sin(about_y), 0, np.cos(about_y)]]
    )
    turn_x = np.array(
        [[np.cos(about_x), np.sin(about_x), 0], [-np.sin(about_x), np.cos(about_x), 0], [0, 0, 1]]
    )
    matrix = turn_y @ turn_x
    layers = size // 3
    steps = np.array([span * 1.1 / layers, step, step])
    centre = (np.array([layers, size, size]) - 1) / 2
    matrix = matrix * steps
    offset = (shape - 1) / 2 - matrix @ centre
    turned = np.empty((len(channels), layers, size, size), dtype=np.float32)
    for source, target in zip(channels, turned, strict=True):
        ndimage.affine_transform(source, matrix, offset, target.shape, output=target, order=1)
    return turned, float(steps[0])


def _shading(body: _Image) -> _Image:
    """Brightness of a surface in the light, from the gradient of the density."""
    slopes = np.stack([np.gradient(body, axis=axis) for axis in range(3)])
    length = np.sqrt((slopes**2).sum(axis=0))
    towards = np.tensordot(_LIGHT / np.linalg.norm(_LIGHT), slopes, axes=(0, 0)) / np.maximum(length, 1e-6)
    # No surface, no shading: the inside of the sample glows evenly.
    surface = length / (length + 0.02)
    lit: _Image = (0.78 + surface * (0.50 * np.maximum(-towards, 0) - 0.28)).astype(np.float32)
    return lit


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
    """Dim the grey signals where there are elements: added in full they would whiten all colours."""
    grey = np.array([is_structural(name) for name in names])
    weights = np.where(grey & ~grey.all(), 0.3, 1.0)
    return weights[:, np.newaxis].astype(np.float32)


def _annotate(axes: Axes, crosshair: tuple[float, float], horizontal: str, vertical: str) -> None:
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
