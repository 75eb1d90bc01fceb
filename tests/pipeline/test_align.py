"""The step that aligns: reference, method, link to all channels; and what a reconstruction makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.pipeline.running import execute

from chemtomo.align.parameters import AlignParameters, LinkParameters
from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.errors import ParameterError, ReadError
from chemtomo.pipeline.jobs.align import (
    link_channels,
    link_dataset,
    reference_series,
    run_alignment,
    save_alignment,
)
from chemtomo.preprocess import bin_pixels
from chemtomo.progress import TaskProgress, finish
from chemtomo.recon import ReconstructParameters
from chemtomo.samples import Misalignment, Simulated, alignment_error, particles

TILTS = np.arange(-70.0, 71.0, 10.0)


@pytest.fixture(scope="module")
def recording() -> Simulated:
    return particles(
        shape=(48, 48), tilts_deg=TILTS, misalignment=Misalignment(shifts_px=3.0), counts=2.0, seed=4
    )


@pytest.fixture(scope="module")
def dataset(recording: Simulated) -> Dataset:
    assert recording.maps is not None
    element = recording.maps.series[0]
    coarse = bin_pixels(recording.maps.series[1], 2)
    return Dataset((element, recording.series, coarse))


QUICK = AlignParameters(method="phase-correlation", axis="none")


def test_the_reference_is_the_structural_image(dataset: Dataset) -> None:
    assert reference_series(dataset, "").name == "HAADF"
    assert reference_series(dataset, "carr").name == "carrier"
    counts = dataset.select(["particles", "carrier"])
    assert reference_series(counts, "").name == "carrier"  # the brighter one
    one = dataset["carrier"].replace(name="ADF", kind="intensity")
    assert reference_series(Dataset((dataset["particles"], one.replace(name="x"))), "").name == "x"


def test_the_reference_may_be_a_sum(dataset: Dataset) -> None:
    assert reference_series(dataset, "HAADF+carrier").name == "HAADF+carrier"
    with pytest.raises(ParameterError, match="'nothing' fits none"):
        reference_series(dataset, "HAADF+nothing")
    plus = dataset["carrier"].replace(name="Al+Si")
    assert reference_series(Dataset((plus,)), "Al+Si").name == "Al+Si"


def test_every_channel_gets_the_alignment_in_its_own_pixels(dataset: Dataset, recording: Simulated) -> None:
    seen: list[TaskProgress] = []
    result = finish(run_alignment(dataset, QUICK), seen.append)
    assert seen
    assert all(0 <= progress.done <= progress.total for progress in seen)
    for series, before in zip(result.dataset, dataset, strict=True):
        assert series.alignment is not None
        np.testing.assert_array_equal(series.values(), before.values())
        assert series.alignment.shape == series.shape[1:]
    fine, coarse = result.dataset["HAADF"].alignment, result.dataset["particles"].alignment
    assert fine is not None
    assert coarse is not None
    np.testing.assert_allclose(coarse.shifts_px(), fine.shifts_px() / 2, atol=1e-9)
    found = alignment_error(recording.truth, fine, recording.positions)
    identity = fine.replace(matrices=np.tile(np.eye(2, 3), (TILTS.size, 1, 1)))
    nothing = alignment_error(recording.truth, identity, recording.positions)
    assert found.rms_px < 0.5 * nothing.rms_px
    assert json.loads(json.dumps(result.report))["method"] == "phase-correlation"


def test_the_reference_tilt_stays(dataset: Dataset) -> None:
    result = finish(run_alignment(dataset, QUICK.model_copy(update={"reference_tilt": 31.0})))
    stays = int(np.flatnonzero(TILTS == 30)[0])
    np.testing.assert_allclose(result.alignment.shifts_px()[stays], 0, atol=1e-9)


def test_nothing_to_do(dataset: Dataset) -> None:
    with pytest.raises(ParameterError, match="found method none and axis none"):
        finish(run_alignment(dataset, AlignParameters(method="none", axis="none")))


def test_a_stop_between_channels(dataset: Dataset) -> None:
    alignment = Alignment("HAADF", TILTS, np.tile(np.eye(2, 3), (TILTS.size, 1, 1)), shape=(48, 48))
    job = link_channels(alignment, list(dataset), LinkParameters(), should_stop=lambda: True)
    assert finish(job) is None


def test_saved_and_linked_again(dataset: Dataset, tmp_path: Path) -> None:
    result = finish(run_alignment(dataset, QUICK))
    path = tmp_path / "alignment.json"
    save_alignment(result.alignment, path)
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["version"] == 1
    assert np.shape(kept["matrices"]) == (TILTS.size, 2, 3)
    again = link_dataset(dataset, Alignment.load(path))
    for one, other in zip(again, result.dataset, strict=True):
        assert one.alignment is not None
        assert other.alignment is not None
        np.testing.assert_allclose(one.alignment.matrices, other.alignment.matrices)
    path.write_text(json.dumps(kept | {"version": 2}))
    with pytest.raises(ReadError, match=r"alignment.json: found version 2; expected 1"):
        Alignment.load(path)


def test_a_reconstruction_of_shifted_data_with_its_alignment() -> None:
    """Shifts along the detector only: the volume is that of the data that was never shifted."""
    tilts = np.arange(-80.0, 81.0, 8.0)
    still = particles(shape=(32, 32), tilts_deg=tilts, misalignment=Misalignment(0.0), seed=2)
    rng = np.random.default_rng(0)
    shifts = rng.uniform(-4, 4, tilts.size)
    matrices = np.tile(np.eye(2, 3), (tilts.size, 1, 1))
    matrices[:, 1, 2] = shifts
    columns = np.arange(32)
    moved = np.stack(
        [
            np.stack([np.interp(columns - shift, columns, row) for row in image])
            for image, shift in zip(still.series.values(), shifts, strict=True)
        ]
    )
    alignment = Alignment("HAADF", tilts, matrices, shape=(32, 32), pixel_size_nm=still.series.pixel_size_nm)
    series = still.series.replace(data=moved, alignment=alignment)
    parameters = ReconstructParameters(method="sirt", iterations=15, crop="none", device="numpy")

    def volume(one: TiltSeries) -> np.ndarray:
        return execute(Dataset((one,)), parameters).volume.data

    expected = volume(still.series)
    aligned = volume(series)
    ignored = volume(series.replace(alignment=None))
    scale = np.linalg.norm(expected)
    assert np.linalg.norm(aligned - expected) < 0.12 * scale
    assert np.linalg.norm(ignored - expected) > 0.3 * scale
    recipe = execute(Dataset((series,)), parameters).volume.provenance
    assert [one["step"] for one in recipe["steps"]] == ["use_alignment", "reconstruct"]
