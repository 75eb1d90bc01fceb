"""A card with a small picture for every kind of data, as notebooks show it.

Of lazy data one projection, or one spectrum image, is read. In place of a picture that cannot be made
stands the reason: a notebook must be able to show damaged data.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data.colours import channel_colours

__all__ = ["MOST_PIXELS", "card", "channels_picture", "curves_picture", "image_picture", "range_text"]

MOST_PIXELS = 192
"""Largest number of pixels of the longer edge of a picture."""
_MOST_CHANNELS = 12
# Fractions of the pixels that are shown fully black and fully white.
_DARKEST, _BRIGHTEST = 0.002, 0.998

_Rows = Sequence[tuple[str, str]]


def card(title: str, rows: _Rows, pictures: Sequence[tuple[str, Callable[[], bytes]]]) -> str:
    """Return a table of facts beside pictures.

    Parameters
    ----------
    title : str
        Title, for example ``"Tilt series Al"``.
    rows : sequence of (str, str)
        Names and values, plain text.
    pictures : sequence of (str, callable)
        Captions, and functions that return a PNG file. Where one raises, the error is shown instead.
    """
    cells = "".join(f"<tr><th>{_escaped(name)}</th><td>{_escaped(text)}</td></tr>" for name, text in rows)
    shown = "".join(_figure(caption, make) for caption, make in pictures[:_MOST_CHANNELS])
    if len(pictures) > _MOST_CHANNELS:
        shown += f"<p>and {len(pictures) - _MOST_CHANNELS} more</p>"
    return (
        f'<div class="chemtomo"><p><strong>{_escaped(title)}</strong></p>'
        f'<div style="display:flex;flex-wrap:wrap;gap:12px"><table>{cells}</table>{shown}</div></div>'
    )


def _figure(caption: str, make: Callable[[], bytes]) -> str:
    try:
        encoded = base64.b64encode(make()).decode("ascii")
    except Exception as error:  # noqa: BLE001 - whatever a file, a library or the values themselves do
        return f"<p>no picture of {_escaped(caption)}: {_escaped(str(error) or type(error).__name__)}</p>"
    return (
        f'<figure style="margin:0"><img alt="{_escaped(caption)}" src="data:image/png;base64,{encoded}">'
        f"<figcaption>{_escaped(caption)}</figcaption></figure>"
    )


def image_picture(image: npt.NDArray[Any]) -> bytes:
    """Return an image (y, x) as a grey PNG; values that are not finite are black."""
    return _png(np.repeat(_brightness(image)[:, :, np.newaxis], 3, axis=2))


def channels_picture(images: Sequence[npt.NDArray[Any]], names: Sequence[str]) -> bytes:
    """Return images (y, x) of several channels as one PNG, added up in the colours of the channels."""
    mixed: Any = 0.0
    for image, colour in zip(images, channel_colours(names), strict=True):
        rgb = np.array([int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)])
        mixed = mixed + _brightness(image)[:, :, np.newaxis] * rgb
    return _png(np.clip(mixed, 0, 1))


def curves_picture(
    x: npt.NDArray[Any], curves: Sequence[tuple[str, npt.NDArray[Any]]], x_label: str, y_label: str
) -> bytes:
    """Return curves as a PNG; values that are not finite are gaps."""
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(3.2, 1.92), dpi=100, layout="constrained")
    axes = figure.subplots()
    for label, values in curves:
        axes.plot(x, values, label=label, linewidth=1)
    axes.set_xlabel(x_label, fontsize=8)
    axes.set_ylabel(y_label, fontsize=8)
    axes.tick_params(labelsize=7)
    if len(curves) > 1:
        axes.legend(fontsize=7)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def range_text(values: npt.NDArray[Any], unit: str) -> str:
    """Say how many values there are, and from where to where."""
    return f"{values.size}, {values.min():g} to {values.max():g} {unit}"


def _brightness(image: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return a smaller image scaled from 0 to 1, with a few pixels clipped at both ends."""
    small = _smaller(np.asarray(image, dtype=np.float64))
    finite = small[np.isfinite(small)]
    if not finite.size:
        return np.zeros(small.shape)
    low, high = np.quantile(finite, (_DARKEST, _BRIGHTEST))
    if not high > low:
        low, high = finite.min(), finite.max()
    # Halved, so that differences cannot overflow.
    span = high / 2 - low / 2
    scaled = (small / 2 - low / 2) / span if span > 0 else np.zeros(small.shape)
    return np.clip(np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0), 0, 1)


def _smaller(image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the means of blocks, so that no edge is longer than `MOST_PIXELS`."""
    factor = -(-max(image.shape) // MOST_PIXELS)
    down, across = (min(factor, size) for size in image.shape)
    rows, columns = image.shape[0] // down, image.shape[1] // across
    blocks = image[: rows * down, : columns * across].reshape(rows, down, columns, across)
    with np.errstate(over="ignore", invalid="ignore"):
        means: npt.NDArray[np.float64] = blocks.mean(axis=(1, 3))
    return means


def _png(rgb: npt.NDArray[np.float64]) -> bytes:
    from matplotlib.image import imsave  # slow to import

    file = io.BytesIO()
    imsave(file, np.rint(rgb * 255).astype(np.uint8), format="png")
    return file.getvalue()


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)
