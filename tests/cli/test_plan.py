"""What a run takes is said once, early, and from iterations that are like the others."""

from __future__ import annotations

from chemtomo.cli.commands.reconstruct import _telling_the_plan
from chemtomo.progress import TaskProgress
from chemtomo.recon.reconstruction import Plan, ReconstructionProgress


def progress(iteration: int, seconds: float) -> ReconstructionProgress:
    return ReconstructionProgress(
        iteration, 100, seconds, None, lambda y: None, (0, 0, 0), 1.0, 8, "9 voxels"
    )


def test_the_plan_is_told_once_with_the_time_of_ordinary_iterations(capsys) -> None:
    shown = []
    on_progress = _telling_the_plan(shown.append)
    on_progress(TaskProgress(0, 1, "Preparing"))
    for iteration in range(1, 9):
        on_progress(progress(iteration, 30.0 + 0.5 * (iteration - 1)))
    assert len(shown) == 9
    assert capsys.readouterr().err == "9 voxels; at most about 80 s\n"


def test_a_time_that_is_known_before_the_run_is_told_then(capsys) -> None:
    shown = []
    on_progress = _telling_the_plan(shown.append)
    on_progress(Plan(0, 100, "9 voxels, at most about 50 s for 100 iterations", 8, 50.0))
    assert capsys.readouterr().err == "9 voxels, at most about 50 s for 100 iterations\n"
    for iteration in range(1, 9):
        on_progress(progress(iteration, 0.5 * iteration))
    assert len(shown) == 9
    assert capsys.readouterr().err == ""
