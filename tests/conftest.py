"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the reference data, which the project does not ship."""
    beside_the_project = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CHEMTOMO_DATA", beside_the_project))
    if not folder.is_dir():
        pytest.skip(
            f"no reference data at {folder}; the environment variable CHEMTOMO_DATA names another folder"
        )
    return folder
