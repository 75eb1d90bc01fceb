"""The settings that napari keeps for the plugin: the compute device, and the size of the cache of results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chemtomo.pipeline import ReconstructParameters
from chemtomo.pipeline.keeping import cache

__all__ = ["device", "follow_device", "result_cache", "set_device"]

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


def result_cache() -> cache.Cache | None:
    """Return the folder in which results of steps are kept; None where the user wants none."""
    section = _section()
    gib = cache.DEFAULT_GIB if section is None else float(section.cache_gib)
    return cache.Cache(cache.default_cache_folder(), gib) if gib > 0 else None


def _section() -> Any:
    """Return napari's settings of the plugin; ``None`` where napari does not know it (not installed)."""
    from napari.settings import get_plugin_settings

    found = get_plugin_settings().get(_PLUGIN)
    return None if found is None else found.compute
