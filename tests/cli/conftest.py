"""The command line as a user calls it, and files to call it on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chemtomo.cli import main
from chemtomo.io import write_dataset
from chemtomo.samples import phantom


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Four small tilt series in MRC files."""
    folder = tmp_path_factory.mktemp("series")
    return [str(path) for path in write_dataset(phantom((4, 16), tilts=5), folder)]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line; gives its exit status, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        status = main([str(one) for one in arguments])
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call
