"""Small data sets in folders, and a recipe for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chemtomo.io import write_dataset
from chemtomo.pipeline import Recipe
from chemtomo.samples import phantom

RECIPE = """version = 1
[[inputs]]
paths = ["s0/series.zarr"]
[[steps]]
step = "clip_negative"
[[steps]]
step = "reconstruct"
method = "sirt"
iterations = 3
device = "numpy"
"""


@pytest.fixture
def data_sets(tmp_path: Path) -> Callable[[int], list[Path]]:
    """Make folders ``s0``, ``s1`` ... with a tilt series each."""

    def make(count: int) -> list[Path]:
        folders = [tmp_path / f"s{number}" for number in range(count)]
        for number, folder in enumerate(folders):
            folder.mkdir()
            write_dataset(phantom((4, 16), tilts=4, seed=number), folder / "series.zarr")
        return folders

    return make


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Three iterations on the data set ``s0``."""
    return Recipe.from_toml(RECIPE, tmp_path)
