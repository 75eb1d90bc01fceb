"""Make the pictures of the documentation with the program itself: `make screenshots`.

    python docs/make_images.py [NAME]...

Without names all are made. Where there is no display, Xvfb provides one.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari import Viewer

FOLDER = Path(__file__).parent / "images"
LARGEST_BYTES = 300_000
WINDOW = (1500, 940)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the pictures of the documentation.")
    parser.add_argument("--device", default="auto", help="where to reconstruct: see 'chemtomo devices'")
    device = parser.parse_args().device
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        restart_with_a_display()
    FOLDER.mkdir(exist_ok=True)
    pictures = plugin_pictures(device)
    for name, png in pictures.items():
        path = FOLDER / name
        path.write_bytes(png)
        print(f"{path.relative_to(FOLDER.parent.parent)}: {len(png) // 1000} kB")
        if len(png) > LARGEST_BYTES:
            sys.exit(f"{path.name} has {len(png)} bytes; expected at most {LARGEST_BYTES}")


def restart_with_a_display() -> None:
    found = shutil.which("xvfb-run")
    if found is None:
        sys.exit("found neither a display nor xvfb-run; expected one of them ('apt-get install xvfb xauth')")
    command = [found, "-a", "-s", "-screen 0 1920x1200x24", sys.executable, *sys.argv]
    sys.exit(subprocess.run(command, check=False).returncode)


def plugin_pictures(device: str) -> dict[str, bytes]:
    """Do what the page on the plugin says, and take a picture of each step."""
    from napari import Viewer
    from napari.qt import get_qapp

    from napari_chemtomo import settings

    get_qapp()
    viewer = Viewer(show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    viewer.canvas.overlays.scale_bar.visible = True
    pictures = {}

    viewer.open_sample("napari-chemtomo", "simulated_series")
    _, dock = viewer.window.add_plugin_dock_widget("napari-chemtomo", "Reconstruct")
    preferred = settings.device()
    dock.reconstruction.set_values({"device": device})
    events(1.0)
    viewer.fit_to_view()
    pictures["plugin-series.png"] = window_png(viewer)

    dock.run_button.click()
    events(3.0, until=lambda: dock.bar.value() >= 0.3 * dock.bar.maximum() > 0)
    events(0.5)
    pictures["plugin-running.png"] = window_png(viewer)
    events(600.0, until=dock.run_button.isEnabled)

    viewer.dims.ndisplay = 3
    viewer.scene.camera.angles = (-20.0, 35.0, 120.0)
    viewer.fit_to_view()
    events(1.0)
    pictures["plugin-volume.png"] = png(viewer.screenshot(canvas_only=True))

    settings.set_device(preferred)
    viewer.close()
    return pictures


def window_png(viewer: Viewer) -> bytes:
    return png(viewer.screenshot(canvas_only=False))


def events(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Let the window do its work for a time, or until something is so."""
    from napari.qt import get_qapp

    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        get_qapp().processEvents()
        time.sleep(0.01)


def png(image: Any) -> bytes:
    """Return a picture as PNG, in as few colours as it needs."""
    from PIL import Image

    buffer = io.BytesIO()
    small = Image.fromarray(image[..., :3]).quantize(256, dither=Image.Dither.NONE)
    small.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
