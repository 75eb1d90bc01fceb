"""Save tilt series and volumes from napari: File > Save Selected Layers, or ``viewer.layers.save``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chemtomo.errors import DataError, WriteError

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["write_layers"]


def write_layers(path: str, layer_data: Sequence[tuple[Any, Mapping[str, Any], str]]) -> list[str]:
    """Write layers as one dataset or as one volume, in the format that the ending of `path` says.

    The dialog has asked whether an existing file shall be replaced; so it is, when all has been written.

    Parameters
    ----------
    path : str
        Where to write.
    layer_data : sequence of (data, attributes, type)
        The layers: tilt series, or channels of a volume.

    Returns
    -------
    list of str
        The files that were written.

    Raises
    ------
    WriteError
        When the layers are neither tilt series nor channels of one volume, or cannot be written there. Not
        a `ValueError`, as other errors of ours are: napari takes that for a missing plugin.
    """
    from napari.layers import Layer
    from napari.utils.notifications import show_info

    from chemtomo.pipeline.writing import write
    from napari_chemtomo.layers.metadata import is_tilt_series, is_volume
    from napari_chemtomo.layers.tilt_series import to_dataset
    from napari_chemtomo.layers.volume import to_volume

    layers: list[Layer] = [
        Layer.create(data, dict(attributes), kind) for data, attributes, kind in layer_data
    ]
    series = [is_tilt_series(layer) for layer in layers]
    try:
        _require_one_kind(layers, series, [is_volume(layer) for layer in layers], path)
        written = (
            write(to_dataset(layers), path, overwrite=True)
            if all(series)
            else write(to_volume(layers), path, overwrite=True)
        )
    except DataError as error:
        raise WriteError(str(error)) from error
    except WriteError as error:
        # napari shows it as a notification.
        raise WriteError(f"{error}. The layers are still here: save them to another place") from error
    for note in written.notes:
        show_info(note)
    return [str(one) for one in written]


def _require_one_kind(layers: Sequence[Layer], series: list[bool], volumes: list[bool], path: str) -> None:
    if all(series) or all(volumes):
        return
    strangers = [
        layer.name for layer, one, other in zip(layers, series, volumes, strict=True) if not one and not other
    ]
    if strangers:
        raise DataError(
            f"{path}: found the layers {', '.join(map(repr, strangers))}, which ChemTomo did not make; "
            "expected tilt series with their tilts, or reconstructed volumes. "
            "To save any image, choose the ending .tif"
        )
    raise DataError(
        f"{path}: found tilt series and volumes together; expected only layers of one kind. "
        "Select the ones or the others and save again"
    )
