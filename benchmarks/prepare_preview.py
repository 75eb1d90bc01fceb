"""Does the preview of the dock *Prepare* follow the slider? ``python -m benchmarks.prepare_preview``.

A tilt series of 77 x 1024 x 1024 is shown in napari, and its tilt slider is dragged while the preview is
on. A timer of 10 ms tells how long the event loop was blocked, and the layer of the preview how long it took
from the last move of the slider to its projection. The same drag without the preview is the measure: what
napari needs to draw is not ours.

It needs napari and a display (``xvfb-run``), and no compute device. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import rounded

SHAPE = (77, 1024, 1024)
QUICK = (21, 512, 512)
TICK_MILLISECONDS = 10


def series(shape: tuple[int, int, int]) -> Any:
    """A bright signal with particles, noise and hot pixels."""
    from chemtomo.data import TiltSeries

    rng = np.random.default_rng(0)
    tilts, height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    data = np.empty(shape, dtype=np.float32)
    for number in range(tilts):
        centre = width * (0.5 + 0.2 * np.sin(number / tilts * np.pi))
        distance = np.hypot(rows - height / 2, columns - centre)
        data[number] = 50 * np.clip(1 - distance / (0.3 * width), 0, None) + 20
        data[number] += rng.standard_normal((height, width), dtype=np.float32)
        data[number, rng.integers(0, height, 20), rng.integers(0, width, 20)] = 5000
    return TiltSeries("HAADF", data, np.linspace(-76, 76, tilts), 1.0)


CASES = {
    "crop and bin": ("Crop", "Bin"),
    "hot pixels, edges": ("HotPixels", "Background"),
    "hot pixels, Otsu, crop, bin, brightness": ("HotPixels", "Otsu", "Crop", "Bin", "Brightness"),
    "median 5 and band-pass": ("Median", "BandPass"),
}


def steps(names: tuple[str, ...], shape: tuple[int, int, int]) -> list[Any]:
    from chemtomo.preprocess import operations as models

    _, height, width = shape
    given: dict[str, Callable[[], Any]] = {
        "Crop": lambda: models.Crop(
            x=(width // 8, width - width // 8), y=(height // 8, height - height // 8)
        ),
        "Otsu": lambda: models.Background(method="otsu"),
        "Median": lambda: models.Median(size=5),
    }
    return [given.get(name, getattr(models, name, None))() for name in names]


class Loop:
    """The event loop of the viewer, with the longest time that it did not come round."""

    def __init__(self) -> None:
        from napari.qt import get_qapp
        from qtpy.QtCore import Qt, QTimer

        self._application = get_qapp()
        self.gaps: list[float] = []
        self.busy: list[float] = []
        self._last, self._last_busy = time.perf_counter(), time.thread_time()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(TICK_MILLISECONDS)

    def _tick(self) -> None:
        now, busy = time.perf_counter(), time.thread_time()
        self.gaps.append(1000 * (now - self._last))
        self.busy.append(1000 * (busy - self._last_busy))
        self._last, self._last_busy = now, busy

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        from qtpy.QtCore import QEventLoop

        end = time.perf_counter() + seconds
        while time.perf_counter() < end and not until():
            self._application.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)

    def start(self) -> None:
        self.gaps, self.busy = [], []
        self._last, self._last_busy = time.perf_counter(), time.thread_time()

    def report(self) -> dict[str, float]:
        gaps = sorted(self.gaps)
        return {
            "longest_block_ms": gaps[-1],
            # What the viewer's thread itself computed in a block: on a busy machine the rest is waiting.
            "longest_block_computing_ms": max(self.busy),
            "block_99_percent_ms": gaps[int(0.99 * (len(gaps) - 1))],
            "median_gap_ms": statistics.median(gaps),
        }


def drag(loop: Loop, viewer: Any, moves: int) -> None:
    """Move the slider to and fro, 40 times per second."""
    count = int(viewer.dims.nsteps[0])
    for move in range(moves):
        place = move % (2 * count - 2)
        viewer.dims.set_current_step(0, place if place < count else 2 * count - 2 - place)
        loop.run(0.025)


def run(shape: tuple[int, int, int], moves: int) -> dict[str, Any]:
    from napari import Viewer

    from chemtomo.data import Dataset
    from napari_chemtomo.layers.aligned import dataset_layers
    from napari_chemtomo.shared.slider import projection_in_view

    viewer = Viewer(show_welcome_screen=False)
    loop = Loop()
    for data, attributes, _ in dataset_layers(Dataset((series(shape),))):
        viewer.add_image(data, **attributes)
    _, dock = viewer.window.add_plugin_dock_widget("napari-chemtomo", "Prepare")
    source = viewer.layers[0]
    loop.run(2.0)
    loop.start()
    drag(loop, viewer, moves)
    results: dict[str, Any] = {"without preview": loop.report()}
    shown: list[int] = []
    dock.preview.shown.connect(shown.append)
    for name, wanted in CASES.items():
        dock.operations.set_steps(steps(wanted, shape))
        loop.start()
        begun = time.perf_counter()
        shown.clear()
        dock.live.setChecked(True)
        loop.run(300.0, lambda: bool(shown))
        first = time.perf_counter() - begun
        loop.run(300.0, lambda: not dock.preview.busy)
        complete = time.perf_counter() - begun
        opening = loop.report()
        loop.start()
        shown.clear()
        drag(loop, viewer, moves)
        followed = len(shown)
        loop.run(10.0, lambda: not dock.preview.busy)
        dragged = loop.report()
        latencies = []
        for number in range(5, shape[0], max(1, shape[0] // 12)):
            shown.clear()
            begun = time.perf_counter()
            viewer.dims.set_current_step(0, number)
            target = projection_in_view(viewer, source)
            loop.run(10.0, lambda target=target: target in shown)
            latencies.append(1000 * (time.perf_counter() - begun))
        results[name] = {
            "first_preview_s": first,
            "complete_preview_s": complete,
            "longest_block_until_complete_ms": opening["longest_block_ms"],
            **dragged,
            "previews_during_drag": followed,
            "moves": moves,
            "median_latency_ms": statistics.median(latencies),
            "longest_latency_ms": max(latencies),
        }
        dock.live.setChecked(False)
    viewer.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a smaller series and fewer moves")
    quick = parser.parse_args().quick
    shape = QUICK if quick else SHAPE
    document = {"benchmark": "prepare_preview", "quick": quick, "shape": shape}
    document["cases"] = run(shape, 40 if quick else 154)
    print(json.dumps(rounded(document), indent=1))


if __name__ == "__main__":
    main()
