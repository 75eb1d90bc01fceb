"""What forms call the choices of parameters. Choices that are not here go by their own name."""

from __future__ import annotations

from typing import Any

__all__ = ["plain_name"]

_NAMES = {
    "tgv": "Smooth with edges (TGV)",
    "tv": "Flat with edges (TV)",
    "sirt": "Iterative least squares (SIRT)",
    "sart": "Projection by projection (SART)",
    "cgls": "Conjugate gradients (CGLS)",
    "mlem": "Maximum likelihood (MLEM)",
    "dart": "Few grey levels (DART)",
    "bp": "Back-projection",
    "fbp": "Filtered back-projection",
    "kl": "Counts (Poisson noise)",
    "l2": "Intensities (Gaussian noise)",
    "weighted-l2": "Intensities, weighted by their noise",
    "frobenius": "Common edges",
    "nuclear": "Parallel edges (nuclear norm)",
    "paper": "As published",
    "counts": "By counting statistics",
    "com-path": "Paths of the centre of mass",
    "max-image": "Sharpest maximum image",
    "sharpness": "Sharpest slices",
    "nmf": "Components without negatives (NMF)",
    "pca": "Principal components (PCA)",
    "eels": "Energy losses (EELS)",
    "com": "Centre of mass",
    "otsu": "Threshold by Otsu's method",
}


def plain_name(choice: Any) -> str:
    """Return what a form calls a choice of a parameter."""
    text = str(choice)
    return _NAMES.get(text) or text[:1].upper() + text[1:].replace("-", " ").replace("_", " ")
