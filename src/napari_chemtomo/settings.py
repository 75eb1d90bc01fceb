"""The settings that napari keeps for the plugin: today, the compute device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chemtomo.pipeline import ReconstructParameters

__all__ = ["device", "follow_device", "set_device"]

_PLUGIN = "napari-chemtomo"


def device() -> str:
    """Return the compute device that the user prefers."""
    section = _section()
    if section is None:
        return str(ReconstructParameters.model_fields["device"].default)
    return str(section.device)


def set_device(name: str) -> None:
    """Remember the compute device, from this session to the next."""
    section = _section()
    if section is not None:
        section.device = name


def follow_device(callback: Callable[[], None]) -> None:
    """Call `callback`, a method of an object that lives long enough, when the setting changes."""
    section = _section()
    if section is not None:
        section.events.device.connect(callback)


def _section() -> Any:
    """Return napari's settings of the plugin; ``None`` where napari does not know it (not installed)."""
    from napari.settings import get_plugin_settings

    found = get_plugin_settings().get(_PLUGIN)
    return None if found is None else found.compute
