"""From simulated data to a volume near the truth, and from the published data to the published image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import chemtomo
from chemtomo.cli.app import app
from chemtomo.data import Dataset, Volume
from chemtomo.io import read_volume
from chemtomo.samples import phantom_volume

SHAPE = (6, 40)
ELEMENTS = ("Yb", "Si", "Al")


@pytest.fixture(scope="module")
def simulated() -> Dataset:
    return chemtomo.phantom(SHAPE, tilts=24)


@pytest.fixture(scope="module")
def truth() -> Volume:
    return phantom_volume(SHAPE)


def correlation(volume: Volume, truth: Volume, name: str) -> float:
    return float(np.corrcoef(volume[name].ravel(), truth[name].ravel())[0, 1])


def error(volume: Volume, truth: Volume, name: str) -> float:
    return float(np.linalg.norm(volume[name] - truth[name]) / np.linalg.norm(truth[name]))


@pytest.fixture(scope="module")
def joint(simulated: Dataset, opencl: str) -> Volume:
    """TGV of all channels together."""
    return chemtomo.reconstruct(simulated, strength=1.5, iterations=150, tolerance=0, device=opencl).volume


def test_the_joint_volume_is_nearer_to_the_truth_than_sirt(
    simulated: Dataset, truth: Volume, joint: Volume, opencl: str
) -> None:
    """However many iterations of SIRT: few smooth, many amplify the noise."""
    for iterations in (5, 10, 20, 40):
        sirt = chemtomo.reconstruct(simulated, method="sirt", iterations=iterations, device=opencl).volume
        for name in ELEMENTS:
            assert correlation(joint, truth, name) > correlation(sirt, truth, name) + 0.03
    assert correlation(joint, truth, "HAADF") > 0.98


def test_weak_signals_gain_from_the_others(
    simulated: Dataset, truth: Volume, joint: Volume, opencl: str
) -> None:
    alone = chemtomo.reconstruct(
        simulated, strength=1.5, iterations=150, tolerance=0, coupling="none", device=opencl
    ).volume
    for name in ("Yb", "Si"):
        assert correlation(joint, truth, name) > correlation(alone, truth, name)
        assert error(joint, truth, name) < error(alone, truth, name)


def test_counts_are_conserved(simulated: Dataset, joint: Volume) -> None:
    for name in ("HAADF", "Al"):
        mass = simulated[name].data.sum(axis=(1, 2), dtype=np.float64).mean()
        assert joint[name].sum() == pytest.approx(mass, rel=0.02)


def test_the_published_command(data_folder: Path, tmp_path: Path, opencl: str) -> None:
    """The example of the publication on its data: objective and image after 100 iterations.

    The published image has the axes (channel, slice, x, y) with ``y`` our ``x`` and ``x`` our reversed ``z``.
    """
    files = [
        str(data_folder / "phantom" / f"{name}sino.mrc")
        for name in ("HAADF_lr", "Yb_EDX", "Al_EDX", "Si_EDX")
    ]
    output, report = tmp_path / "volume.zarr", tmp_path / "report.json"
    arguments = [
        "reconstruct", *files, "-o", str(output), "--report", str(report), "--device", opencl,
        "--preprocess", "paper", "--normalisation", "paper", "--steps", "paper",
        "--method", "tgv", "--coupling", "frobenius", "--dims", "3",
        "--mu", "HAADF=0.2", "--mu", "Yb=0.0005", "--mu", "Al=0.004", "--mu", "Si=0.0005",
        "--crop", "65:368", "--slices", "20:21", "--iterations", "100", "--report-every", "10",
        "--tolerance", "0",
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output

    history = {one["iteration"]: one for one in json.loads(report.read_text())["history"]}
    published = np.load(data_folder / "reference" / "C_objs.npy")
    mu = (0.2, 0.0005, 0.004, 0.0005)
    compared = 0
    for iteration, objective, *data in published[:, :6]:
        if iteration in history:
            compared += 1
            found = history[int(iteration)]
            assert found["objective"] == pytest.approx(objective, rel=1e-4)
            weighted = [m * value for m, value in zip(mu, found["data"].values(), strict=True)]
            assert weighted == pytest.approx(data, rel=1e-4)
    assert compared >= 3
    assert history[100]["objective"] == pytest.approx(4.949, rel=0.005)

    volume = read_volume(output)
    assert volume.shape == (433, 1, 433)
    expected = np.load(data_folder / "reference" / "C_U_it100_CZxy_f32.npy")[:, 0, ::-1]
    found = volume.data[:, 65:368, 0, 65:368]
    for one, other in zip(found, expected, strict=True):
        assert np.linalg.norm(one - other) < 1e-3 * np.linalg.norm(other)
    outside = volume.data.copy()
    outside[:, 65:368, :, 65:368] = 0
    assert not outside.any()
