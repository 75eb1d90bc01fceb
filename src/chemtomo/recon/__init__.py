"""Reconstruction: from a dataset to a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chemtomo.recon.parameters import ReconstructParameters

if TYPE_CHECKING:
    from chemtomo.recon.reconstruction import Reconstructed, reconstruct

__all__ = ["ReconstructParameters", "Reconstructed", "reconstruct"]


def __getattr__(name: str) -> Any:
    # The command line takes its options from the parameters and must not wait for SciPy.
    if name in ("Reconstructed", "reconstruct"):
        from chemtomo.recon import reconstruction

        return getattr(reconstruction, name)
    raise AttributeError(f"module 'chemtomo.recon' has no attribute {name!r}")
