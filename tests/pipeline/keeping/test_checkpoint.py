"""A reconstruction that goes on from a checkpoint ends where it would have ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import chemtomo
from chemtomo.data import Dataset
from chemtomo.errors import ParameterError, ReadError
from chemtomo.io import write_dataset
from chemtomo.pipeline.jobs.reconstruct import Result, reconstruct_job
from chemtomo.pipeline.keeping.archive import Archive
from chemtomo.pipeline.keeping.checkpoint import Checkpoint
from chemtomo.progress import finish
from chemtomo.recon import ReconstructParameters

METHODS = {
    "tgv": {"method": "tgv", "dims": 3},
    "published": {"method": "tv", "steps": "paper"},
    "sirt": {"method": "sirt"},
    "sart": {"method": "sart", "order": "random"},
    "cgls": {"method": "cgls"},
    "osem": {"method": "mlem", "subsets": 3},
    "dart": {"method": "dart", "levels": 3, "inner_iterations": 3},
}


@pytest.fixture
def parameters() -> dict[str, object]:
    return {"iterations": 24, "report_every": 3, "tolerance": 1e-9, "crop": "none"}


def interrupted(
    dataset: Dataset, parameters: ReconstructParameters, checkpoint: Checkpoint, after: int
) -> None:
    """Begin a reconstruction, and drop it after so many iterations."""
    job = reconstruct_job(dataset, parameters, checkpoint=checkpoint)
    for _ in range(after + 1):
        next(job)
    job.close()


def resumed(dataset: Dataset, parameters: ReconstructParameters, path: Path) -> Result:
    return finish(reconstruct_job(dataset, parameters, checkpoint=Checkpoint(path, resume=True)))


def without_time(result: Result) -> list[dict[str, object]]:
    return [
        {key: value for key, value in line.items() if key != "seconds"} for line in result.report["history"]
    ]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backend", ["numpy", "opencl"])
@pytest.mark.parametrize("after", [1, 14])
def test_what_goes_on_ends_in_the_same_bits(request, dataset, tmp_path, parameters, backend, method, after):
    device = "numpy" if backend == "numpy" else request.getfixturevalue("opencl")
    chosen = ReconstructParameters(**parameters, **METHODS[method], device=device)
    whole = finish(reconstruct_job(dataset, chosen))
    path = tmp_path / "state"
    interrupted(dataset, chosen, Checkpoint(path, iterations=2), after)
    if after > 1:
        with Archive(path) as archive:
            assert archive.description["reached"]["iterations"] == after
    found = resumed(dataset, chosen, path)
    np.testing.assert_array_equal(found.volume.data, whole.volume.data)
    assert without_time(found) == without_time(whole)


def test_slabs_go_on_from_the_one_that_was_interrupted(opencl, tmp_path, parameters):
    dataset = chemtomo.phantom((24, 24), tilts=9)
    chosen = ReconstructParameters(**parameters, **METHODS["tgv"], device=opencl, memory=0.0045)
    whole = finish(reconstruct_job(dataset, chosen))
    assert len(whole.report["slabs"]) > 2
    path = tmp_path / "state"
    interrupted(dataset, chosen, Checkpoint(path, iterations=5), 24 + 24 + 11)
    with Archive(path) as archive:
        assert len(archive.description["ended"]) == 2
        assert archive.description["reached"]["iterations"] == 10
    found = resumed(dataset, chosen, path)
    np.testing.assert_array_equal(found.volume.data, whole.volume.data)
    assert without_time(found) == without_time(whole)


def test_another_device_ends_at_the_same_objective(opencl, dataset, tmp_path, parameters):
    chosen = ReconstructParameters(**parameters, **METHODS["tgv"], device="numpy")
    whole = finish(reconstruct_job(dataset, chosen))
    path = tmp_path / "state"
    interrupted(dataset, chosen, Checkpoint(path, iterations=2), 14)
    found = resumed(dataset, chosen.model_copy(update={"device": opencl}), path)
    last, expected = found.report["history"][-1], whole.report["history"][-1]
    assert last["objective"] == pytest.approx(expected["objective"], rel=1e-4)


def test_what_was_cancelled_goes_on(dataset, tmp_path, parameters):
    chosen = ReconstructParameters(**parameters, **METHODS["tgv"], device="numpy")
    whole = finish(reconstruct_job(dataset, chosen))
    done = 0

    def count(_: object) -> None:
        nonlocal done
        done += 1

    path = tmp_path / "state"
    job = reconstruct_job(dataset, chosen, should_stop=lambda: done >= 7, checkpoint=Checkpoint(path))
    stopped = finish(job, count)
    assert stopped.report["iterations"] == 7
    found = resumed(dataset, chosen, path)
    np.testing.assert_array_equal(found.volume.data, whole.volume.data)
    # A longer run goes on too: the limit is no part of the problem.
    longer = chosen.model_copy(update={"iterations": 30})
    np.testing.assert_array_equal(
        resumed(dataset, longer, path).volume.data, finish(reconstruct_job(dataset, longer)).volume.data
    )


@pytest.fixture
def kept(dataset, tmp_path, parameters):
    """A checkpoint of SIRT, with its parameters."""
    chosen = ReconstructParameters(**parameters, **METHODS["sirt"], device="numpy")
    path = tmp_path / "state"
    interrupted(dataset, chosen, Checkpoint(path, iterations=2), 14)
    return path, chosen


def test_the_checkpoint_of_another_problem_is_refused(dataset, kept):
    path, chosen = kept
    before = path.read_bytes()
    with pytest.raises(ParameterError, match="nonnegative is True in the checkpoint and False here"):
        resumed(dataset, chosen.model_copy(update={"nonnegative": False}), path)
    other = Dataset(tuple(one.replace(data=one.data + 1) for one in dataset))
    with pytest.raises(ParameterError, match=r"SHA-256 .* in the checkpoint and .* here"):
        resumed(other, chosen, path)
    with pytest.raises(ParameterError, match=r"the channels are .* in the checkpoint and .* here"):
        resumed(Dataset(dataset.series[:1]), chosen, path)
    with pytest.raises(ParameterError, match="14 iterations; expected at most the limit of 3"):
        resumed(dataset, chosen.model_copy(update={"iterations": 3}), path)
    assert path.read_bytes() == before


def test_a_checkpoint_is_not_replaced_unasked(dataset, kept):
    path, chosen = kept
    before = path.read_bytes()
    with pytest.raises(ParameterError, match="found a checkpoint already"):
        next(reconstruct_job(dataset, chosen, checkpoint=Checkpoint(path, iterations=1)))
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "no image"])
def test_a_damaged_checkpoint_is_an_error_that_names_it(dataset, kept, damage):
    path, chosen = kept
    whole = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        whole[len(whole) // 2] ^= 255
        path.write_bytes(whole)
    elif damage == "text":
        path.write_text("no checkpoint", encoding="utf-8")
    else:
        with zipfile.ZipFile(path) as file:
            description = file.read("description.json")
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("description.json", description)
    with pytest.raises(ReadError, match=path.name):
        resumed(dataset, chosen, path)


def reached(path: Path) -> int:
    """Iterations in a checkpoint; it may be replaced, but is whole whenever it is there."""
    if not path.exists():
        return 0
    with Archive(path) as archive:
        return int(archive.description["reached"]["iterations"])


def test_a_killed_program_goes_on(tmp_path):
    dataset = chemtomo.phantom((12, 32), tilts=15)
    files = [str(one) for one in write_dataset(dataset, tmp_path / "series.zarr")]
    path, output = tmp_path / "state", tmp_path / "volume.zarr"
    options = ["--device", "numpy", "--dims", "3", "--iterations", "60", "--tolerance", "0"]
    command = [sys.executable, "-m", "chemtomo", "reconstruct", *files, "-o", str(output), *options,
               "--checkpoint", str(path), "--resume", "--checkpoint-iterations", "1"]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for target in np.cumsum(np.random.default_rng(0).integers(3, 15, 2)).tolist():
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        while reached(path) < target and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        _, errors = process.communicate()
        assert process.returncode not in (0, 1, 2), errors
        assert reached(path) >= target
        assert not output.exists()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [one.name for one in tmp_path.iterdir() if "state" in one.name] == []
    again = chemtomo.read(files)
    whole = chemtomo.reconstruct(again, device="numpy", dims=3, iterations=60, tolerance=0)
    np.testing.assert_array_equal(chemtomo.read_volume(output).data, whole.volume.data)
