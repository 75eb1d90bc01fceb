"""A reconstruction of one or several signals."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data.dataset import resolve_name
from chemtomo.data.notebook.html import card, channels_picture
from chemtomo.data.notebook.hyperspy_signal import volume_signals
from chemtomo.errors import DataError

__all__ = ["Volume"]


@dataclasses.dataclass(frozen=True, eq=False)
class Volume:
    """A reconstructed multichannel volume.

    Attributes
    ----------
    data : numpy.ndarray, shape (channel, z, y, x)
        ``y`` and ``x`` are those of the projection at 0 degrees, ``z`` is the direction of the beam there.
    names : tuple of str
        One name per channel.
    voxel_size_nm : float
        Edge of a voxel in nanometres.
    origin_px : tuple of float
        Index ``(z, y, x)`` of the first voxel in the volume of the whole, uncropped tilt series.
    provenance : dict
        The recipe: input names, steps with their parameters, version, device.

    Raises
    ------
    DataError
        When shape, names or voxel size do not fit together.
    """

    data: npt.NDArray[np.float32]
    names: tuple[str, ...]
    voxel_size_nm: float = 1.0
    origin_px: tuple[float, float, float] = (0.0, 0.0, 0.0)
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        if self.data.ndim != 4 or 0 in self.data.shape:
            raise DataError(
                f"the volume has shape {self.data.shape}; expected four axes (channel, z, y, x), none empty"
            )
        if len(self.names) != self.data.shape[0]:
            raise DataError(
                f"the volume has {self.data.shape[0]} channels and {len(self.names)} names; expected one each"
            )
        if len(set(self.names)) != len(self.names):
            raise DataError(f"the channels are named {', '.join(self.names)}; expected different names")
        if not (np.isfinite(self.voxel_size_nm) and self.voxel_size_nm > 0):
            raise DataError(f"the voxel size is {self.voxel_size_nm} nm; expected a positive number")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along ``(z, y, x)``."""
        return self.data.shape[1], self.data.shape[2], self.data.shape[3]

    def select(self, names: Sequence[str]) -> Volume:
        """Return a volume of the named channels (full names or unique prefixes), in that order.

        Raises
        ------
        ParameterError
            When no channel, or more than one, starts with a name.
        """
        full = [resolve_name(name, self.names) for name in names]
        data = self.data[[self.names.index(name) for name in full]]
        provenance = self.provenance
        if "steps" in provenance and tuple(full) != self.names:
            step = {"step": "select", "channels": full}
            provenance = provenance | {"steps": [*provenance["steps"], step]}
        return dataclasses.replace(self, data=data, names=tuple(full), provenance=provenance)

    def to_hyperspy(self) -> list[Any]:
        """Return a HyperSpy ``Signal2D`` (z, y, x) for each channel, navigated along ``z``.

        The values are not copied. `chemtomo.read_volume` reads the file that HyperSpy saves of a signal, with
        its recipe.

        Raises
        ------
        DataError
            When HyperSpy is not installed.
        """
        return volume_signals(self.data, self.names, self.voxel_size_nm, self.origin_px, self.provenance)

    def _repr_html_(self) -> str:
        rows = [
            ("shape (z, y, x)", " × ".join(map(str, self.shape))),
            ("channels", ", ".join(self.names)),
            ("voxel", f"{self.voxel_size_nm:g} nm"),
        ]
        middle = self.shape[1] // 2
        picture = (
            f"slice y = {middle}",
            lambda: channels_picture([channel[:, middle, :] for channel in self.data], self.names),
        )
        return card(f"Volume of {len(self.names)} channels", rows, [picture])

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        if name not in self.names:
            raise DataError(f"no channel {name!r}; expected one of {', '.join(self.names)}")
        channel: npt.NDArray[np.float32] = self.data[self.names.index(name)]
        return channel
