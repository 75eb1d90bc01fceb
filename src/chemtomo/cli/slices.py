"""Pictures of one slice with several settings, or after several iterations."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Volume
from chemtomo.io.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from chemtomo.trust.one_slice import Convergence, Sweep

__all__ = ["draw_convergence", "draw_sweep", "stack_of", "write_table"]

_PANEL = 2.2  # inches
_WHITE_PERCENTILE = 99.8
_MOST_PANELS = 8


def draw_sweep(sweep: Sweep, labels: Sequence[str], path: Path) -> Path:
    """Write a PNG: a row for every channel, a column for every setting, with the held-out score below."""
    count, channels = sweep.slices.shape[:2]
    figure = _figure(count, channels)
    grid = figure.subplots(channels, count, squeeze=False)
    for channel, name in enumerate(sweep.names):
        for setting, label in enumerate(labels):
            axes = grid[channel, setting]
            _show(axes, sweep.slices[setting, channel], sweep.slices[:, channel])
            score = f"{sweep.misfits[setting, channel]:.0f} ± {sweep.errors[setting, channel]:.0f}"
            axes.set_xlabel(score, fontsize=8)
            if channel == 0:
                axes.set_title(label, fontsize=9)
        grid[channel, 0].set_ylabel(name)
    figure.suptitle(f"Slice {sweep.y}; below: misfit of held-out data above the best", fontsize=10)
    return _save(figure, path)


def draw_convergence(found: Convergence, path: Path) -> Path:
    """Write a PNG: some of the iterates, and residuals, objective and gap against the iterations."""
    shown = np.unique(np.linspace(0, len(found.iterations) - 1, _MOST_PANELS).astype(int))
    channels = len(found.names)
    figure = _figure(shown.size, channels + 1)
    grid = figure.add_gridspec(channels + 1, shown.size)
    for channel, name in enumerate(found.names):
        for column, report in enumerate(shown):
            axes = figure.add_subplot(grid[channel, column])
            _show(axes, found.iterates[report, channel], found.iterates[-1:, channel])
            if channel == 0:
                axes.set_title(f"{found.iterations[report]}", fontsize=9)
            if column == 0:
                axes.set_ylabel(name)
    half = max(1, shown.size // 2)
    axes = figure.add_subplot(grid[channels, :half])
    for channel, name in enumerate(found.names):
        axes.loglog(found.iterations, found.residuals[:, channel], label=name)
    axes.set_xlabel("iteration")
    axes.set_ylabel("relative residual")
    axes.legend(fontsize=7)
    if shown.size > half:
        axes = figure.add_subplot(grid[channels, half:])
        least = found.objectives.min()
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = (found.objectives - least) / abs(least)
        axes.loglog(found.iterations, np.where(excess > 0, excess, np.nan), label="objective above its least")
        if np.isfinite(found.gaps).any():
            axes.loglog(found.iterations, found.gaps, label="relative gap")
        axes.set_xlabel("iteration")
        axes.legend(fontsize=7)
    return _save(figure, path)


def write_table(found: Convergence, path: Path) -> Path:
    """Write a CSV with a line for every report."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    residuals = [f"residual {name}" for name in found.names]
    writer.writerow(["iteration", "seconds", "objective", "gap", *residuals])
    for number, iteration in enumerate(found.iterations):
        gap = found.gaps[number]
        numbers = [found.seconds[number], found.objectives[number], gap if np.isfinite(gap) else ""]
        writer.writerow([iteration, *numbers, *found.residuals[number]])
    with replacing([path]) as (temporary,):
        temporary.write_text(text.getvalue(), encoding="utf-8")
    return path


def stack_of(images: npt.NDArray[np.float32], names: tuple[str, ...], pixel_size_nm: float) -> Volume:
    """Return slices (number, channel, z, x) as a volume, whose ``y`` is the number."""
    return Volume(np.ascontiguousarray(images.transpose(1, 2, 0, 3)), names, pixel_size_nm)


def _figure(columns: int, rows: int) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (max(4.0, _PANEL * columns), 0.6 + _PANEL * rows)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _show(axes: Any, image: npt.NDArray[np.float32], together: npt.NDArray[np.float32]) -> None:
    white = float(np.percentile(together, _WHITE_PERCENTILE)) or 1.0
    axes.imshow(image, cmap="gray", vmin=0, vmax=white, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])


def _save(figure: Figure, path: Path) -> Path:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    with replacing([path]) as (temporary,):
        temporary.write_bytes(buffer.getvalue())
    return path
