"""The functions at the top of the package: each does one step and records it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chemtomo.data import Alignment, Dataset, SpectrumSeries

if TYPE_CHECKING:
    from chemtomo.pipeline.jobs.align import AlignmentResult
    from chemtomo.pipeline.jobs.reconstruct import Result
    from chemtomo.pipeline.keeping.checkpoint import Checkpoint
    from chemtomo.pipeline.step import State

__all__ = ["align", "link", "maps", "reconstruct"]

_OnProgress = Callable[[Any], None] | None
_ShouldStop = Callable[[], bool] | None


def maps(spectra: SpectrumSeries, *, on_progress: _OnProgress = None, **parameters: Any) -> Dataset:
    """Make maps of elements from spectra.

    Parameters
    ----------
    spectra : SpectrumSeries
        See `chemtomo.read_spectra`. Lazy ones are read in blocks.
    on_progress : callable, optional
        Called with a `chemtomo.progress.TaskProgress` after every block.
    **parameters
        The fields of `chemtomo.spectra.parameters.MapParameters`: ``elements=["Fe", "Co"], method="fit"``.

    Returns
    -------
    Dataset
        One series of counts for each element, with a background; see `chemtomo.spectra.element_maps`.

    Raises
    ------
    ParameterError
        When a parameter is unknown or out of bounds, an element or line is not recorded, or none was named
        and none is significant.
    """
    from chemtomo.pipeline.step import State

    state = _run(State(spectra=(spectra,)), "maps", parameters, on_progress, None)
    return state.require_series("maps")


def align(
    dataset: Dataset,
    *,
    on_progress: _OnProgress = None,
    should_stop: _ShouldStop = None,
    **parameters: Any,
) -> AlignmentResult:
    """Find shifts and tilt axis on one channel, and carry them to all.

    Parameters
    ----------
    dataset : Dataset
        As recorded. It is not modified.
    on_progress, should_stop : callable, optional
        Called with the progress; asked between iterations whether to stop with the present alignment.
    **parameters
        The fields of `chemtomo.align.parameters.AlignParameters`: ``method="projection-matching"``.

    Returns
    -------
    AlignmentResult
        ``dataset`` is ready to be reconstructed; ``alignment`` and ``report`` describe the result.

    Raises
    ------
    ChemTomoError
        When a parameter is wrong, there is no such channel, or the method cannot be used with these data.
    """
    from chemtomo.pipeline.jobs.align import AlignmentResult
    from chemtomo.pipeline.step import State

    state = _run(State(series=dataset), "align", parameters, on_progress, should_stop)
    assert state.alignment is not None
    return AlignmentResult(state.alignment, state.require_series("align"), state.reports[-1][1])


def link(dataset: Dataset, alignment: Alignment) -> Dataset:
    """Carry an alignment to every series of a dataset, by tilts and pixel sizes.

    Parameters
    ----------
    dataset : Dataset
        As recorded. Existing alignments are replaced.
    alignment : Alignment
        Found on one channel, or loaded from a file.

    Raises
    ------
    DataError
        When a tilt lies outside the range of the alignment.
    """
    from chemtomo.pipeline.jobs.align import alignment_table
    from chemtomo.pipeline.step import State

    parameters = {"alignment": alignment_table(alignment)}
    return _run(State(series=dataset), "use_alignment", parameters, None, None).require_series("link")


def reconstruct(
    dataset: Dataset,
    *,
    on_progress: _OnProgress = None,
    should_stop: _ShouldStop = None,
    checkpoint: Checkpoint | None = None,
    **parameters: Any,
) -> Result:
    """Reconstruct a dataset.

    A series with an alignment is aligned first, see `chemtomo.align`.

    Parameters
    ----------
    dataset : Dataset
        Signals with the same rows, columns, pixel size and tilt axis once they are aligned. Their tilts
        may differ. It is not modified.
    on_progress : callable, optional
        Called with a `chemtomo.solvers.Progress` after every iteration.
    should_stop : callable, optional
        Asked before every iteration; ``True`` ends the run with the present iterate.
    checkpoint : Checkpoint, optional
        A file to which the state is written every few minutes, and from which an ended run can continue:
        see `chemtomo.Checkpoint`.
    **parameters
        The fields of `chemtomo.recon.parameters.ReconstructParameters`: ``method="tgv", iterations=200``.

    Returns
    -------
    Result
        The volume, which holds its recipe, and the report.

    Raises
    ------
    ParameterError
        When a parameter is unknown or out of bounds, or the checkpoint is that of another reconstruction.
    ChemTomoError
        When data, parameters or device do not fit together, or an iterate is not finite.
    """
    from chemtomo.pipeline.jobs.reconstruct import Result
    from chemtomo.pipeline.step import State

    state = _run(State(series=dataset), "reconstruct", parameters, on_progress, should_stop, checkpoint)
    assert state.volume is not None
    return Result(state.volume, state.reports[-1][1])


def _run(
    state: State,
    step: str,
    parameters: dict[str, Any],
    on_progress: _OnProgress,
    should_stop: _ShouldStop,
    checkpoint: Checkpoint | None = None,
) -> State:
    from chemtomo.pipeline.recipes.recipe import Entry
    from chemtomo.pipeline.runner import run_steps_job
    from chemtomo.progress import finish

    steps = [Entry.of(step, parameters)]
    job = run_steps_job(state, steps, should_stop=should_stop, checkpoint=checkpoint)
    return finish(job, on_progress)
