"""The strength of the regularisation from the data: what predicts held-out counts and tilts best."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset
from chemtomo.errors import ParameterError
from chemtomo.functionals import Coupling
from chemtomo.opencl import DeviceInfo, choose_device
from chemtomo.operators import Projector
from chemtomo.progress import TaskProgress
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.recon.reconstruction import frame_of
from chemtomo.trust.curves import Curve, Reading, read, standard_error
from chemtomo.trust.fitting import Fits
from chemtomo.trust.held_out import Division, divide, misfit

__all__ = ["Choice", "choose_job", "signal_blocks"]

_Array = npt.NDArray[np.float64]

# Slices that are looked at: so many together, in two places where there are many more.
_SLICES = 8
_SLICES_OF_ONE_PLACE = 32
# The first path, with few divisions of the data, finds the region; the next ones are about what they found.
_COARSE = (16.0, 4.0, 1.0, 0.25)
_FINE = tuple(2.0**power for power in (1.5, 0.75, 0.0, -0.75, -1.5))
_OTHER_MODELS = (2.0, 1.0, 0.5)
_COARSE_DIVISIONS = 2
_DIVISIONS = 3
_MOST_FINE_PATHS = 2
_LEAST, _LARGEST = 2.0**-6, 2.0**7
_DIGITS = 3


@dataclasses.dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes
    ----------
    parameters : ReconstructParameters
        With numbers in place of every ``auto``.
    report : dict
        ``chosen``, the curve of every channel and what the models were worth, ready for JSON.
    """

    parameters: ReconstructParameters
    report: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class _Model:
    method: Literal["tv", "tgv"]
    coupling: Coupling

    @property
    def name(self) -> str:
        return f"{self.method}, coupling {self.coupling}"


@dataclasses.dataclass(frozen=True, eq=False)
class _Path:
    """Scores of a model along a path.

    Attributes
    ----------
    strengths : numpy.ndarray, shape (strength, channel)
        In the order in which they were fitted.
    scores : numpy.ndarray, shape (strength, division, channel, tilt)
        See `chemtomo.trust.held_out.misfit`.
    kinds : tuple of tuple of str
        What each division holds out of the channels.
    """

    strengths: _Array
    scores: _Array
    kinds: tuple[tuple[str, ...], ...]

    def curves(self, channel: int) -> dict[str, Curve]:
        """Return the curves of a channel by what was held out."""
        rising = np.argsort(self.strengths[:, channel])
        own = [kinds[channel] for kinds in self.kinds]
        found = {}
        for kind in dict.fromkeys(own):
            divisions = [number for number, one in enumerate(own) if one == kind]
            samples = self.scores[rising][:, divisions, channel].reshape(rising.size, -1)
            kept = samples[:, (samples != 0).any(axis=0)]
            found[kind] = Curve(self.strengths[rising, channel], kept)
        return found

    def reading(self, channel: int) -> Reading:
        """Return what the curves of a channel say.

        Held-out tilts ask for too little smoothness where the noise is far below what the data term takes it
        to be, and added noise for too much. So what noise asks for beyond the tilts counts half. Where it
        asks for less, errors that are the same in both parts have taken it in, and the tilts decide.
        """
        tilts, *others = [read(curve) for curve in self.curves(channel).values()]
        for noise in others:
            tilts = Reading(
                best=_mean(np.array([tilts.best, max(tilts.best, noise.best)])),
                chosen=_mean(np.array([tilts.chosen, max(tilts.chosen, noise.chosen)])),
                inside=tilts.inside or noise.inside,
            )
        return tilts

    def readings(self) -> list[Reading]:
        """Return what the curves of every channel say."""
        return [self.reading(channel) for channel in range(self.strengths.shape[1])]


def choose_job(
    recorded: Dataset,
    prepare: Callable[[Dataset], Dataset],
    parameters: ReconstructParameters,
    *,
    prepared: Dataset | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Choice]:
    """Replace every ``auto`` of the parameters by what predicts held-out data best.

    A few slices are reconstructed again and again from nine tenths of their data, with a path of strengths,
    each from the solution before it, and every time the last tenth is predicted: see
    `chemtomo.trust.held_out.divide`. Every channel is read off its own curve.

    - The strength is the geometric mean of those of the channels.
    - The weights ``mu`` give every channel its own.
    - Of the models, TV and TGV, and then the couplings, that one is chosen which predicts best: the
      differences of all channels, each in units of its own standard error, are added up.

    Parameters
    ----------
    recorded : Dataset
        As recorded: counts are divided before they are aligned.
    prepare : callable
        Makes of it what is to be reconstructed; it is also given single signals.
    parameters : ReconstructParameters
        What is ``auto`` is chosen, the rest is taken as it is.
    prepared : Dataset, optional
        What `prepare` makes of `recorded`, if it is there already.
    should_stop : callable, optional
        Asked before every iteration; ``True`` ends the search with what is known.

    Yields
    ------
    TaskProgress
        After every fit.

    Returns
    -------
    Choice
        The parameters without ``auto``. They depend on the data, the seed and the device only.

    Raises
    ------
    ChemTomoError
        When data, parameters or device do not fit together.
    """
    search = _Search(recorded, prepare, prepared or prepare(recorded), parameters, should_stop)
    base = _Model(
        "tv" if parameters.method == "tv" else "tgv",
        "frobenius" if parameters.coupling == "auto" else parameters.coupling,
    )
    given = search.given
    if {"strength", "mu"} & set(parameters.undecided):
        coarse = yield from search.path(
            base, np.outer(_COARSE, given), _COARSE_DIVISIONS, "Strength, roughly"
        )
        centre = search.together([one.best for one in coarse.readings()])
    else:
        centre = given * float(parameters.strength)
    for _ in range(_MOST_FINE_PATHS):
        path = yield from search.path(base, np.outer(_FINE, centre), _DIVISIONS, "Strength")
        readings = path.readings()
        found = [one.chosen for one in readings]
        if all(one.inside for one in readings):
            break
        centre = search.together([one.best for one in readings])
    paths = {base: path}
    best = base
    gains: dict[_Model, _Array] = {}
    for alternatives in (search.methods, search.couplings):
        for model in alternatives(best):
            around = np.outer(_OTHER_MODELS, search.together(found))
            paths[model] = yield from search.path(model, around, _DIVISIONS, f"Model: {model.name}")
            gains[model] = _gain(paths[base], paths[model])
        best = min(paths, key=lambda one: float(gains[one].sum()) if one in gains else 0.0)
        found = [one.chosen for one in paths[best].readings()]
    strengths = search.together(found)
    chosen = search.parameters_of(best, strengths)
    report = {
        "seed": parameters.seed,
        "slices": [list(block) for block in search.blocks],
        "chosen": {
            "method": chosen.method,
            "coupling": chosen.coupling,
            "strength": chosen.strength,
            "mu": chosen.mu,
        },
        "channels": {name: _describe(paths[best], number) for number, name in enumerate(search.names)},
        "models": {
            model.name: dict(zip(search.names, np.round(gain, 2).tolist(), strict=True))
            for model, gain in gains.items()
        },
        "compared_with": base.name,
    }
    return Choice(chosen, report)


class _Search:
    """The slices, their divisions and the fits of all models."""

    def __init__(
        self,
        recorded: Dataset,
        prepare: Callable[[Dataset], Dataset],
        prepared: Dataset,
        parameters: ReconstructParameters,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self.names = prepared.names
        self._parameters = parameters
        self._should_stop = should_stop
        self._device: DeviceInfo | None = choose_device(parameters.device)
        rows = parameters.slices or (0, prepared.series[0].shape[1])
        self.blocks = signal_blocks(prepared, rows)
        self._frames = [
            frame_of(prepared, parameters.model_copy(update={"slices": block, "keep_crop": False}))
            for block in self.blocks
        ]
        if any(frame.resolutions.cell > 1 for frame in self._frames):
            raise ParameterError(
                f"{', '.join(parameters.undecided)}: found auto for signals with pixels of different sizes; "
                "expected numbers. They can be found with all signals binned alike"
            )
        whole = {one.name: one for one in recorded}
        self._divisions: list[list[Division]] = [
            [divide(frame, number, parameters.seed, whole, prepare) for frame in self._frames]
            for number in range(_DIVISIONS)
        ]
        self._projectors = [
            Projector(frame.geometry, 1, frame.slices[1] - frame.slices[0]) for frame in self._frames
        ]
        self._fits: dict[_Model, list[Fits]] = {}
        factors = {} if isinstance(parameters.mu, str) else parameters.mu
        full = {prepared.resolve(name): value for name, value in factors.items()}
        self.given: _Array = np.array([1 / full.get(name, 1.0) for name in self.names])

    def path(
        self, model: _Model, strengths: _Array, divisions: int, title: str
    ) -> Generator[TaskProgress, None, _Path]:
        """Fit and score along rows of strengths (strength, channel)."""
        strengths = np.clip(strengths, _LEAST, _LARGEST)
        if model not in self._fits:
            settings = self._settings(model)
            self._fits[model] = [
                Fits(frame, settings, _LEAST, self._device, self._should_stop) for frame in self._frames
            ]
        scores = np.zeros((len(strengths), divisions, len(self.names), self._frames[0].joint.count))
        total = divisions * len(strengths)
        for done, (number, step) in enumerate(itertools.product(range(divisions), range(len(strengths)))):
            if self._should_stop is not None and self._should_stop():
                break
            yield TaskProgress(done, total, title)
            for fits, division, projector in zip(
                self._fits[model], self._divisions[number], self._projectors, strict=True
            ):
                image = fits.fit(number, division.fitted, strengths[step], first=step == 0)
                scores[step, number] += misfit(division, image, projector)
        kinds = tuple(self._divisions[number][0].kinds for number in range(divisions))
        return _Path(strengths, scores, kinds)

    def together(self, strengths: Sequence[float]) -> _Array:
        """Return the strengths of the channels, which are in given ratios if the weights are."""
        found = np.clip(strengths, _LEAST, _LARGEST)
        if self._parameters.mu != "auto":
            if self._parameters.strength != "auto":
                return self.given * float(self._parameters.strength)
            return self.given * _mean(found / self.given)
        return found

    def methods(self, model: _Model) -> list[_Model]:
        """Return a model with the other methods, if there is a choice."""
        others: tuple[Literal["tv", "tgv"], ...] = ("tgv", "tv")
        if self._parameters.method != "auto":
            return []
        return [dataclasses.replace(model, method=one) for one in others if one != model.method]

    def couplings(self, model: _Model) -> list[_Model]:
        """Return a model with the other couplings, if there is a choice."""
        if self._parameters.coupling != "auto" or len(self.names) == 1:
            return []
        others = [one for one in get_args(Coupling) if one != model.coupling]
        return [dataclasses.replace(model, coupling=one) for one in others]

    def parameters_of(self, model: _Model, strengths: _Array) -> ReconstructParameters:
        """Return the parameters with a model and strengths of the channels."""
        changes: dict[str, Any] = {"method": model.method, "coupling": model.coupling}
        strength = self._parameters.strength
        own = self._parameters.mu == "auto"
        if strength == "auto":
            strength = _rounded(_mean(strengths if own else strengths / self.given))
            changes["strength"] = strength
        if own:
            changes["mu"] = {
                name: _rounded(float(strength) / float(one))
                for name, one in zip(self.names, strengths, strict=True)
            }
        return self._parameters.model_copy(update=changes)

    def _settings(self, model: _Model) -> ReconstructParameters:
        changes: dict[str, Any] = {"method": model.method, "coupling": model.coupling}
        return self._parameters.model_copy(update=changes | {"strength": 1.0, "mu": {}})


def signal_blocks(dataset: Dataset, rows: tuple[int, int]) -> list[tuple[int, int]]:
    """Choose the slices to look at: in each part of the rows the neighbours with the most signal.

    Signals count alike: each is divided by its sum.
    """
    start, stop = rows
    if stop - start <= _SLICES:
        return [(start, stop)]
    places = 1 if stop - start < _SLICES_OF_ONE_PLACE else 2
    height = _SLICES // places
    profile = np.zeros(stop - start)
    for series in dataset:
        own = np.zeros(stop - start)
        triples = zip(series.projections(), series.backgrounds(), series.valid_pixels(), strict=True)
        for image, background, valid in triples:
            own += np.where(valid, image.astype(np.float64) - background, 0)[start:stop].sum(axis=1)
        own = np.maximum(own, 0)
        profile += own / max(own.sum(), np.finfo(float).tiny)
    sums = np.convolve(profile, np.ones(height), mode="valid")
    parts = itertools.pairwise(np.linspace(0, stop - start, places + 1).astype(int).tolist())
    first = [start + low + int(sums[low : high - height + 1].argmax()) for low, high in parts]
    return [(one, one + height) for one in first]


def _gain(base: _Path, other: _Path) -> _Array:
    """Return how much worse another model predicts every channel, in standard errors of the difference.

    Each at the strength at which it is best; negative where the other is better.
    """
    result = np.zeros(base.strengths.shape[1])
    for channel in range(result.size):
        ours, theirs = (
            one.scores[int(one.scores[:, :, channel].sum(axis=(1, 2)).argmin()), :, channel]
            for one in (base, other)
        )
        difference = (theirs - ours).ravel()
        difference = difference[difference != 0]
        if difference.size > 1:
            error = float(standard_error(difference))
            result[channel] = difference.sum() / error if error > 0 else 0.0
    return result


def _describe(path: _Path, channel: int) -> dict[str, Any]:
    reading = path.reading(channel)
    curves = []
    for kind, curve in path.curves(channel).items():
        excess, error = curve.against_best
        curves.append(
            {
                "held_out": kind,
                "strengths": [_rounded(float(one)) for one in curve.strengths],
                "score": np.round(excess, 2).tolist(),
                "error": np.round(error, 2).tolist(),
                "chosen": _rounded(read(curve).chosen),
            }
        )
    return {
        "best": _rounded(reading.best),
        "chosen": _rounded(reading.chosen),
        "at_the_end": not reading.inside,
        "curves": curves,
    }


def _mean(strengths: _Array) -> float:
    """Return the geometric mean."""
    return float(np.exp(np.log(strengths).mean()))


def _rounded(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")
