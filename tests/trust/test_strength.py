import json

import numpy as np
import pytest

import chemtomo
from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.parameters import validated
from chemtomo.pipeline.recipes.recipe import Recipe
from chemtomo.pipeline.runner import run_steps_job
from chemtomo.pipeline.step import State
from chemtomo.progress import finish
from chemtomo.recon import ReconstructParameters
from chemtomo.samples import phantom, phantom_volume
from chemtomo.trust import strength as searching
from chemtomo.trust.strength import choose_job, signal_blocks

SHAPE = (6, 48)


@pytest.fixture(scope="module")
def dataset():
    return phantom(SHAPE, tilts=18).select(["HAADF", "Al"])


@pytest.fixture
def short(monkeypatch):
    """Paths of few strengths, for tests of what is done with the choice."""
    monkeypatch.setattr(searching, "_COARSE", (4.0, 0.5))
    monkeypatch.setattr(searching, "_FINE", (2.0, 1.0, 0.5))
    monkeypatch.setattr(searching, "_OTHER_MODELS", (1.0,))
    monkeypatch.setattr(searching, "_DIVISIONS", 2)
    monkeypatch.setattr(searching, "_MOST_FINE_PATHS", 1)


def choose(dataset, opencl, **parameters):
    settings = ReconstructParameters(device=opencl, **parameters)
    return finish(choose_job(dataset, lambda one: one, settings))


def error(volume, name):
    truth = phantom_volume(SHAPE)[name]
    return np.linalg.norm(volume[name] - truth) / np.linalg.norm(truth)


def test_strength_and_weights_from_the_data_are_better_than_the_default(dataset, opencl):
    options = {"device": opencl, "iterations": 150, "crop": "none"}
    default = chemtomo.reconstruct(dataset, **options)
    chosen = chemtomo.reconstruct(dataset, strength="auto", mu="auto", **options)
    for name in ("HAADF", "Al"):
        assert error(chosen.volume, name) < error(default.volume, name)
    json.dumps(chosen.report)
    # The signal of many counts can do with less than its share of the weight.
    assert chosen.report["auto"]["chosen"]["mu"]["HAADF"] < chosen.report["auto"]["chosen"]["mu"]["Al"]


def test_a_result_holds_what_was_chosen_and_is_repeated_to_the_bit(dataset, opencl, short):
    first = chemtomo.reconstruct(
        dataset, strength="auto", mu="auto", method="auto", coupling="auto", device=opencl, iterations=3
    )
    recipe = Recipe.from_json(first.volume.provenance)
    parameters = recipe.steps[-1].parameters
    assert parameters.undecided == ()
    assert parameters.model_dump() | first.report["auto"]["chosen"] == parameters.model_dump()
    again = finish(run_steps_job(State(series=dataset), recipe.steps))
    np.testing.assert_array_equal(again.volume.data, first.volume.data)
    assert "auto" not in dict(again.reports)["reconstruct"]
    assert set(first.report["auto"]["models"]) >= {"tv, coupling frobenius"}


def test_equal_seeds_give_equal_choices(dataset, opencl, short):
    one, again, other = (
        choose(dataset, opencl, strength="auto", mu="auto", seed=seed).report for seed in (1, 1, 2)
    )
    assert one == again
    assert one["channels"] != other["channels"]


def test_what_is_given_is_kept(dataset, opencl, short):
    ratio = choose(dataset, opencl, strength="auto", mu={"Al": 3.0})
    assert ratio.parameters.mu == {"Al": 3.0}
    assert ratio.parameters.strength != "auto"
    weights = choose(dataset, opencl, strength=2.0, mu="auto")
    assert weights.parameters.strength == 2.0
    chosen = weights.report["channels"]
    for name, mu in weights.parameters.mu.items():
        assert mu == pytest.approx(2.0 / chosen[name]["chosen"], rel=0.02)
    model = choose(dataset, opencl, method="auto")
    assert (model.parameters.strength, model.parameters.mu) == (1.0, {})
    assert model.parameters.method in ("tv", "tgv")


def test_channels_with_one_strength_have_the_mean_of_theirs(dataset, opencl, short):
    found = choose(dataset, opencl, strength="auto")
    own = [one["chosen"] for one in found.report["channels"].values()]
    assert found.parameters.strength == pytest.approx(np.exp(np.log(own).mean()), rel=0.02)


def test_a_preview_says_the_strength_of_the_whole_resolution(dataset, opencl, short):
    options = {"strength": "auto", "preview": True, "device": opencl, "iterations": 2, "slices": (0, 4)}
    made = chemtomo.reconstruct(dataset, **options)
    parameters = Recipe.from_json(made.volume.provenance).steps[-1].parameters
    again = chemtomo.reconstruct(dataset, **{**options, "strength": parameters.strength})
    np.testing.assert_allclose(again.volume.data, made.volume.data, rtol=1e-4, atol=1e-6)


def test_nothing_is_chosen_for_sirt(dataset, opencl):
    made = chemtomo.reconstruct(dataset, method="sirt", strength="auto", iterations=2, device=opencl)
    assert "auto" not in made.report


def test_a_search_that_is_stopped_ends(dataset, opencl):
    settings = ReconstructParameters(device=opencl, strength="auto")
    job = choose_job(dataset, lambda one: one, settings, should_stop=lambda: True)
    assert finish(job).parameters.strength != "auto"


@pytest.mark.parametrize("name", ["strength", "mu", "method", "coupling"])
def test_published_weights_have_nothing_to_choose(name):
    with pytest.raises(ParameterError, match=f"{name}: found auto with the paper's normalisation"):
        validated(ReconstructParameters, {name: "auto", "normalisation": "paper"})


def test_slices_to_look_at_have_signal_and_are_spread():
    data = np.zeros((3, 64, 16), np.float32)
    data[:, 20:24] = 5
    data[:, 40:48] = 1
    dataset = Dataset((TiltSeries("HAADF", data, [-10, 0, 10]),))
    assert signal_blocks(dataset, (0, 64)) == [(20, 24), (40, 44)]
    assert signal_blocks(dataset, (18, 26)) == [(18, 26)]
    first, last = signal_blocks(dataset, (10, 30))[0]
    assert (first <= 20, last >= 24, last - first) == (True, True, 8)
