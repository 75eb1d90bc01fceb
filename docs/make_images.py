"""Make the pictures of the documentation with the program itself: `make screenshots`.

    python docs/make_images.py [demo] [plugin] [align] [resolutions]

Without a name all are made. Where there is no display, Xvfb provides one.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari import Viewer

FOLDER = Path(__file__).parent / "images"
LARGEST_BYTES = 300_000
WINDOW = (1500, 940)
# A specimen that is longer than that of the sample data.
SHAPE = (64, 96)
PARAMETERS = {"iterations": 150}


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the pictures of the documentation.")
    makers = {
        "demo": demo_pictures,
        "plugin": plugin_pictures,
        "align": alignment_pictures,
        "resolutions": resolution_pictures,
    }
    parser.add_argument(
        "names", nargs="*", choices=[*makers, []], metavar="|".join(makers), help="what to make"
    )
    names = parser.parse_args().names or list(makers)
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        restart_with_a_display()
    FOLDER.mkdir(exist_ok=True)
    # Results that an earlier run has kept would be there before a picture of the work is taken.
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()
    pictures = {name: picture for each in names for name, picture in makers[each]().items()}
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


def demo_pictures() -> dict[str, bytes]:
    """Take the picture that the demo draws."""
    with tempfile.TemporaryDirectory() as folder:
        code = "from chemtomo.cli import main; main()"
        subprocess.run([sys.executable, "-c", code, "demo", "--output", folder], check=True)
        return {"demo.png": (Path(folder) / "demo.png").read_bytes()}


def plugin_pictures() -> dict[str, bytes]:
    """Do what the page on the plugin says, and take a picture of each step."""
    from napari import Viewer

    from chemtomo.samples import phantom
    from napari_chemtomo.layers.aligned import dataset_layers

    viewer = Viewer(show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    viewer.canvas.overlays.scale_bar.visible = True
    pictures = {}

    for data, attributes, _ in dataset_layers(phantom(SHAPE)):
        viewer.add_image(data, **attributes)
    _, dock = viewer.window.add_plugin_dock_widget("napari-chemtomo", "Reconstruct")
    dock.reconstruction.set_values(PARAMETERS)
    events(1.0)
    viewer.fit_to_view()
    pictures["plugin-series.png"] = window_png(viewer)

    dock.controls.run_button.click()
    events(600.0, until=lambda: dock.controls.bar.value() >= 0.3 * dock.controls.bar.maximum() > 0)
    events(0.5)
    pictures["plugin-running.png"] = window_png(viewer)
    events(600.0, until=dock.controls.run_button.isEnabled)

    viewer.dims.ndisplay = 3
    viewer.scene.camera.angles = (-15.0, 45.0, 150.0)
    viewer.fit_to_view(margin=0.0)
    viewer.scene.camera.zoom *= 1.4
    events(1.0)
    pictures["plugin-volume.png"] = png(viewer.screenshot(canvas_only=True))
    viewer.close()
    return pictures


def alignment_pictures() -> dict[str, bytes]:
    """Do what the page on alignment says in the plugin, and take a picture of each dock."""
    from napari import Viewer

    from chemtomo.data import Dataset
    from chemtomo.samples import Misalignment, particles
    from napari_chemtomo.layers.aligned import dataset_layers

    recorded = particles(
        shape=(128, 128), misalignment=Misalignment(6.0, axis_angle_deg=3.0, axis_offset_px=4.0), counts=2.0
    )
    viewer = Viewer(show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    for data, attributes, _ in dataset_layers(Dataset((recorded.series, *recorded.maps))):
        viewer.add_image(data, **attributes)
    pictures = {}

    _, register = viewer.window.add_plugin_dock_widget("napari-chemtomo", "Register")
    register.reference.value = viewer.layers["HAADF"]
    events(0.5)
    register.controls.run_button.click()
    events(600.0, until=lambda: not register.controls.running)
    for layer in viewer.layers:
        layer.visible = layer.name == "HAADF (aligned)"
    viewer.fit_to_view()
    events(1.0)
    pictures["plugin-register.png"] = window_png(viewer)

    _, axis = viewer.window.add_plugin_dock_widget("napari-chemtomo", "Tilt axis", tabify=True)
    axis.series.value = viewer.layers["HAADF (aligned)"]
    axis.native.window().raise_()
    events(3.0)
    pictures["plugin-tilt-axis.png"] = window_png(viewer)

    _, link = viewer.window.add_plugin_dock_widget("napari-chemtomo", "Link channels", tabify=True)
    link.controls.run_button.click()
    events(60.0, until=lambda: not link.controls.running)
    events(1.0)
    pictures["plugin-link.png"] = window_png(viewer)
    viewer.close()
    return pictures


def resolution_pictures() -> dict[str, bytes]:
    """Draw EDX maps in their own pixels and, jointly with HAADF, in finer ones, beside the truth."""
    import numpy as np
    from matplotlib.figure import Figure
    from scipy import ndimage

    import chemtomo
    from chemtomo.data import Dataset
    from chemtomo.preprocess import bin_pixels
    from chemtomo.samples import phantom, phantom_volume

    names, shape, middle = ("Yb", "Si", "Al"), (16, 96), 8
    truth = phantom_volume(shape)
    haadf = phantom(shape, tilts=180)["HAADF"]
    maps = [bin_pixels(phantom(shape, tilts=36, seed=1)[name], 2) for name in names]
    parameters = {"coupling": "nuclear", "strength": 0.5, "iterations": 300}
    fine = chemtomo.reconstruct(Dataset((haadf, *maps)), **parameters).volume.data[1:]
    coarse = chemtomo.reconstruct(Dataset((bin_pixels(haadf, 2), *maps)), **parameters).volume.data[1:]
    # A voxel of twice the edge has eight times the counts.
    spread = np.stack([ndimage.zoom(one / 8, 2, order=1, grid_mode=True, mode="nearest") for one in coarse])

    figure = Figure(figsize=(9, 9), layout="constrained")
    panels = figure.subplots(3, 3)
    for row, name in zip(panels, names, strict=True):
        expected = truth.data[truth.names.index(name)]
        shown = {
            "truth": expected,
            "EDX pixels": spread[names.index(name)],
            "HAADF pixels": fine[names.index(name)],
        }
        for axes, (what, volume) in zip(row, shown.items(), strict=True):
            error = float(np.sqrt(np.mean((volume - expected) ** 2)))
            value = f", {20 * np.log10(expected.max() / error):.1f} dB" if error > 0 else ""
            axes.imshow(volume[:, middle], cmap="gray", vmin=0, vmax=float(expected[:, middle].max()))
            axes.set_title(f"{name}, {what}{value}")
            axes.set_axis_off()
            print(f"{name}, {what}{value}")
    picture = io.BytesIO()
    figure.savefig(picture, dpi=80)
    return {"resolutions.png": picture.getvalue()}


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
    """Return a picture as PNG, in 256 colours where it would be too large."""
    from PIL import Image

    picture = Image.fromarray(image[..., :3])
    for each in (picture, picture.quantize(256)):
        buffer = io.BytesIO()
        each.save(buffer, format="PNG", optimize=True)
        if buffer.tell() <= LARGEST_BYTES:
            break
    return buffer.getvalue()


if __name__ == "__main__":
    main()
