"""Results that are kept: the same as if they were made again, and none that is damaged or too old."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import chemtomo
from chemtomo.data import Dataset
from chemtomo.pipeline import Entry, State
from chemtomo.pipeline.keeping.cache import Cache
from chemtomo.pipeline.recipes.recipe import Recipe
from chemtomo.pipeline.runner import content_key, run_steps_job, with_key
from chemtomo.pipeline.step import Made
from chemtomo.progress import finish

QUICK = {"method": "sirt", "iterations": 3, "device": "numpy", "crop": "none"}


class Counting(Cache):
    """A cache that knows what was found and what was made."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.found = self.made = 0

    def find(self, key, before):
        found = super().find(key, before)
        self.found += found is not None
        return found

    def keep(self, key, before, made):
        self.made += 1
        super().keep(key, before, made)


@pytest.fixture
def run(dataset: Dataset) -> Callable[..., State]:
    def run_with(store: Cache | None, data: Dataset = dataset, **changes: object) -> State:
        steps = [
            Entry.of("crop", {"x": [1, 15]}),
            Entry.of("align", {"method": "phase-correlation", "axis": "none"}),
            Entry.of("reconstruct", {**QUICK, **changes}),
        ]
        return finish(run_steps_job(State(series=data), steps, store=store))

    return run_with


def entries(cache: Cache) -> list[Path]:
    return sorted(cache.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def assert_same(found: State, made: State) -> None:
    assert found.volume is not None
    assert made.volume is not None
    assert found.volume.data.dtype == made.volume.data.dtype
    np.testing.assert_array_equal(found.volume.data, made.volume.data)
    assert found.volume.provenance == made.volume.provenance
    assert found.volume.origin_px == made.volume.origin_px
    assert [name for name, _ in found.reports] == [name for name, _ in made.reports]
    np.testing.assert_array_equal(found.alignment.matrices, made.alignment.matrices)
    for one, other in zip(found.series, made.series, strict=True):
        assert (one.name, one.kind, one.notes, one.origin) == (
            other.name,
            other.kind,
            other.notes,
            other.origin,
        )
        assert one.provenance == other.provenance
        assert one.data.dtype == other.data.dtype
        np.testing.assert_array_equal(one.data, other.data)
        np.testing.assert_array_equal(one.alignment.matrices, other.alignment.matrices)


def test_what_is_found_is_what_would_be_made(run, tmp_path):
    cache = Counting(tmp_path / "cache")
    made = run(cache)
    assert (cache.found, cache.made) == (0, 3)
    assert_same(made, run(None))
    assert_same(run(cache), made)
    assert (cache.found, cache.made) == (3, 3)


def test_a_changed_later_step_does_not_run_the_earlier_ones(run, tmp_path):
    cache = Counting(tmp_path / "cache")
    run(cache)
    changed = run(cache, iterations=4)
    assert (cache.found, cache.made) == (2, 4)
    assert_same(changed, run(None, iterations=4))


def test_other_values_are_not_found(run, dataset, tmp_path):
    cache = Counting(tmp_path / "cache")
    run(cache)
    other = dataset.map(lambda one: one.replace(data=one.data + 1))
    assert_same(run(cache, other), run(None, other))
    assert (cache.found, cache.made) == (0, 6)


def test_the_recipe_names_the_files_at_hand(run, dataset, tmp_path):
    cache = Counting(tmp_path / "cache")
    series = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        series.append(chemtomo.read(chemtomo.write_dataset(dataset, tmp_path / place / "series.zarr")))
    run(cache, series[0])
    found = run(cache, series[1])
    assert cache.found == 3
    recipe = Recipe.from_json(found.volume.provenance)
    assert all("there" in path for one in recipe.inputs for path in one.paths)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_entry_is_made_again(run, tmp_path, damage):
    cache = Counting(tmp_path / "cache")
    made = run(cache)
    for path in entries(cache):
        whole = bytearray(path.read_bytes())
        whole[len(whole) // 2] ^= 255
        short = {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"no entry"}
        path.write_bytes(short.get(damage, whole))
    again = Counting(cache.folder)
    assert_same(run(again), made)
    assert (again.found, again.made) == (0, 3)
    assert_same(run(again), made)
    assert again.found == 3


def test_what_was_not_used_for_the_longest_time_goes_first(run, tmp_path):
    everything = Counting(tmp_path / "cache")
    run(everything)
    run(everything, iterations=4)
    kept = entries(everything)
    for age, path in enumerate(kept):
        os.utime(path, (1e9 + age, 1e9 + age))
    run(everything)  # now the volume after four iterations is the oldest
    oldest = entries(everything)[0]
    size = sum(path.stat().st_size for path in kept) + oldest.stat().st_size // 2
    (everything.folder / "of somebody else").write_text("stays", encoding="utf-8")
    less = Cache(everything.folder, size / 2**30)
    run(less, iterations=5)
    assert not oldest.exists()
    ours = [path for path in entries(less) if path.suffix == ".kept"]
    assert sum(path.stat().st_size for path in ours) <= size
    assert set(kept) - {oldest} <= set(ours)
    assert (everything.folder / "of somebody else").exists()


def test_nothing_is_kept_that_is_larger_than_the_folder_may_be(run, tmp_path):
    cache = Cache(tmp_path / "cache", 1e-9)
    run(cache)
    assert not cache.folder.exists() or not entries(cache)


def test_a_folder_that_cannot_be_written_ends_no_run(run, tmp_path):
    place = tmp_path / "cache"
    place.write_text("a file", encoding="utf-8")
    cache = Cache(place)
    assert run(cache).volume is not None
    assert str(place) in cache.problem


def test_several_processes_share_a_folder(run, tmp_path):
    program = (
        "import sys, chemtomo\n"
        "from chemtomo.pipeline import Entry, State\n"
        "from chemtomo.pipeline.keeping.cache import Cache\n"
        "from chemtomo.pipeline.runner import run_steps_job\n"
        "from chemtomo.progress import finish\n"
        "data = chemtomo.phantom((4, 16), tilts=9)\n"
        "for n in range(12):\n"
        "    options = {'method': 'sirt', 'iterations': 1 + n % 3, 'device': 'numpy'}\n"
        "    steps = [Entry.of('crop', {'x': [1, 15]}), Entry.of('reconstruct', options)]\n"
        "    finish(run_steps_job(State(series=data), steps, store=Cache(sys.argv[1], 1e-4)))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "cache")]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    left = list((tmp_path / "cache").iterdir())
    assert left
    assert all(path.suffix == ".kept" for path in left)
    assert sum(path.stat().st_size for path in left) <= 1e-4 * 2**30


def test_what_has_no_place_in_a_file_ends_no_run(run, tmp_path):
    cache = Cache(tmp_path / "cache")
    made = run(None)
    odd = Made(State(series=made.series, volume=made.volume, reports=(("odd", {"found": object()}),)))
    cache.keep("key", State(series=made.series), odd)
    assert "object" in cache.problem
    assert cache.find("key", State(series=made.series)) is None


@pytest.mark.parametrize("slices", [None, 2])
def test_what_was_stopped_is_not_kept(run, tmp_path, slices):
    cache = Counting(tmp_path / "cache")
    data = chemtomo.phantom((4, 16), tilts=9)
    choices = {**QUICK, "iterations": 9, "slabs": slices}
    steps = [Entry.of("reconstruct", choices)]
    seen: list[object] = []
    job = run_steps_job(State(series=data), steps, store=cache, should_stop=lambda: len(seen) >= 2)
    stopped = finish(job, seen.append)
    assert stopped.reports[-1][1]["cancelled"]
    assert stopped.made_from == ""
    whole = finish(run_steps_job(State(series=data), steps, store=cache))
    assert (cache.found, cache.made) == (0, 1)
    assert not whole.reports[-1][1]["cancelled"]
    assert whole.made_from == content_key(State(series=data), steps)


def test_what_is_made_knows_what_it_was_made_from_without_a_cache_too(run, dataset):
    steps = [Entry.of("crop", {"x": [1, 15]}), Entry.of("reconstruct", QUICK)]
    before = with_key(State(series=dataset))
    after = finish(run_steps_job(before, steps))
    assert after.made_from == content_key(State(series=dataset), steps)
    chosen = [Entry.of("select", {"channels": ["Al"]})]
    assert finish(run_steps_job(after, chosen)).made_from == content_key(before, [*steps, *chosen])
    assert finish(run_steps_job(State(series=dataset), steps)).made_from == ""


@pytest.mark.parametrize(
    "changes", [{"data": 1}, {"energy_offset_keV": 0.3}, {"beam_energy_keV": 80.0}, {"elements": ("Si",)}]
)
def test_other_spectra_have_another_key(changes):
    """Those that were read from no file too."""
    data = np.random.default_rng(0).poisson(2.0, (2, 3, 3, 40)).astype(np.uint16)
    series = chemtomo.SpectrumSeries("EDX", data, np.array([0.0, 10.0]), 0.0, 0.1)
    if "data" in changes:
        changes = {"data": data + 1}
    key = content_key(State(spectra=(series,)))
    assert content_key(State(spectra=(series.replace(source="elsewhere"),))) == key
    assert content_key(State(spectra=(series.replace(**changes),))) != key
